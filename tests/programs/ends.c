/* Connections that end in every way, client and server in one process: `ends PORT ROUNDS PACE_US KIND…` runs each kind ROUNDS times, a pause
   of PACE_US between two connections of a thread, and says how often the program itself saw something else than the kind's name says.
   A kind is the path of its requests; the table at the end says what each side does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY = 2000, LARGE = 200000, SERVERS = 4, CLIENTS = 3 };

/* How the server ends after what it sent; FOLLOW: it waits for the client's end. */
enum { FOLLOW, CLOSE, RESET };
/* How much of the answer it sends; TWICE: head and body apart. */
enum { WHOLE, TWICE, HUGE_ONE, UNTIL_CLOSE, HALF, NONE };
/* What the client does: reads what comes up to the end of the answer (or of the stream), then ends. EARLY: it reads nothing. */
enum { THEN_RESET, THEN_CLOSE, SHUT_FIRST, READ_TO_END, EARLY_RESET, EARLY_CLOSE, THREE_THEN_RESET };

static const struct kind {
    const char *name;
    int answer, end, client;
} KINDS[] = {
    {"whole-reset", WHOLE, FOLLOW, THEN_RESET},       {"twice-reset", TWICE, FOLLOW, THEN_RESET},
    {"large-reset", HUGE_ONE, FOLLOW, THEN_RESET},    {"kept-reset", WHOLE, FOLLOW, THREE_THEN_RESET},
    {"whole-close", WHOLE, FOLLOW, THEN_CLOSE},       {"server-close", WHOLE, CLOSE, READ_TO_END},
    {"half-closed", TWICE, CLOSE, SHUT_FIRST},        {"until-close", UNTIL_CLOSE, CLOSE, READ_TO_END},
    {"server-reset-after", WHOLE, RESET, THEN_CLOSE}, {"middle-reset", HALF, FOLLOW, THEN_RESET},
    {"middle-close", HALF, FOLLOW, THEN_CLOSE},       {"early-reset", NONE, FOLLOW, EARLY_RESET},
    {"early-close", NONE, FOLLOW, EARLY_CLOSE},       {"cut", HALF, CLOSE, READ_TO_END},
    {"nothing", NONE, CLOSE, READ_TO_END},            {"server-reset-middle", HALF, RESET, READ_TO_END},
    {"server-reset-before", NONE, RESET, READ_TO_END},
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static int port, rounds, pace_us;
static long surprises[KIND_COUNT];
static char body[LARGE + 1];

static void finish(int fd, int reset) {
    struct linger at_once = {1, 0};
    if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static int sent_all(int fd, const char *bytes, size_t len) {
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) return 0;
        bytes += n, len -= n;
    }
    return 1;
}

static void answer(int fd, int how) {
    char *text = malloc(LARGE + 200);
    int size = how == HUGE_ONE ? LARGE : BODY;
    int head = how == UNTIL_CLOSE ? sprintf(text, "HTTP/1.0 200 OK\r\n\r\n")
                                  : sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size);
    memcpy(text + head, body, size);
    if (how == TWICE && sent_all(fd, text, head)) sent_all(fd, text + head, size);
    if (how == HALF) sent_all(fd, text, head + size / 2);
    if (how == WHOLE || how == HUGE_ONE || how == UNTIL_CLOSE) sent_all(fd, text, head + size);
    free(text);
}

static void serve(int fd) {
    char request[512], name[64] = "";
    for (;;) {
        int have = 0, n;
        do {
            n = recv(fd, request + have, sizeof request - 1 - have, 0);
            if (n > 0) request[have += n] = 0;
        } while (n > 0 && !strstr(request, "\r\n\r\n"));
        if (n <= 0) return finish(fd, 0);
        sscanf(request, "GET /%63[^/ ]", name);
        const struct kind *kind = KINDS;
        while (strcmp(kind->name, name)) kind++;
        answer(fd, kind->answer);
        if (kind->end != FOLLOW) return finish(fd, kind->end == RESET);
    }
}

static void *server(void *listener) {
    for (;;) {
        int fd = accept((int)(long)listener, 0, 0);
        if (fd < 0) return 0;
        serve(fd);
    }
}

/* Reads one answer, or what there is of it; gives the bytes of its body. `whole`: no end of the stream is waited for. */
static long answered(int fd, long want) {
    char buffer[65536];
    long have = 0, head = -1;
    while (head < 0 || have - head < want) {
        long n = recv(fd, buffer + (head < 0 ? have : 0), sizeof buffer - 1 - (head < 0 ? have : 0), 0);
        if (n <= 0) break;
        have += n;
        if (head < 0) {
            buffer[have] = 0;
            char *end = strstr(buffer, "\r\n\r\n");
            head = end ? end + 4 - buffer : -1;
        }
    }
    return head < 0 ? 0 : have - head;
}

static int asked(const struct kind *kind, int number) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    char request[200];
    /* An address for each kind, so that ports that wait for their end are not missed. */
    to.sin_addr.s_addr = htonl(0x7f000101 + (kind - KINDS));
    int fd = socket(AF_INET, SOCK_STREAM, 0), fine = 1;
    if (connect(fd, (void *)&to, sizeof to)) return close(fd), 0;
    int times = kind->client == THREE_THEN_RESET ? 3 : 1;
    long want = kind->answer == HUGE_ONE ? LARGE : kind->answer == HALF ? BODY / 2 : kind->answer == NONE ? 0 : BODY;
    for (int i = 0; i < times; i++) {
        int len = sprintf(request, "GET /%s/%d HTTP/1.1\r\nHost: ends\r\nUser-Agent: ends\r\n\r\n", kind->name, number);
        if (!sent_all(fd, request, len)) fine = 0;
        if (kind->client == SHUT_FIRST) shutdown(fd, SHUT_WR);
        if (kind->client == EARLY_RESET || kind->client == EARLY_CLOSE) break;
        int to_end = kind->client == READ_TO_END || kind->client == SHUT_FIRST;
        /* A client that waits for more than comes sees the end. */
        if (answered(fd, to_end ? 1 << 30 : want) != want) fine = 0;
    }
    finish(fd, kind->client == THEN_RESET || kind->client == THREE_THEN_RESET || kind->client == EARLY_RESET);
    return fine;
}

static int next_round;
static const struct kind *present;

static void *client(void *unused) {
    int number;
    while ((number = __atomic_fetch_add(&next_round, 1, __ATOMIC_RELAXED)) < rounds) {
        if (!asked(present, number)) __atomic_fetch_add(&surprises[present - KINDS], 1, __ATOMIC_RELAXED);
        if (pace_us) usleep(pace_us);
    }
    return unused;
}

int main(int argc, char **argv) {
    struct sockaddr_in any = {.sin_family = AF_INET};
    pthread_t threads[SERVERS + CLIENTS];
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (argc < 5) return 2;
    port = atoi(argv[1]), rounds = atoi(argv[2]), pace_us = atoi(argv[3]);
    memset(body, 'x', LARGE);
    any.sin_port = htons(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (void *)&any, sizeof any) || listen(listener, 1024)) return perror("listen"), 1;
    for (int i = 0; i < SERVERS; i++) pthread_create(&threads[i], 0, server, (void *)(long)listener);
    puts("ready"), fflush(stdout);
    if (getchar() == EOF) return 1;
    for (int arg = 4; arg < argc; arg++) {
        for (present = KINDS; present < KINDS + KIND_COUNT - 1 && strcmp(present->name, argv[arg]); present++) {}
        next_round = 0;
        for (int i = 0; i < CLIENTS; i++) pthread_create(&threads[SERVERS + i], 0, client, 0);
        for (int i = 0; i < CLIENTS; i++) pthread_join(threads[SERVERS + i], 0);
        printf("%s %ld\n", present->name, surprises[present - KINDS]);
    }
    puts("done"), fflush(stdout);
    /* The server's last ends are to be seen before the process's. */
    getchar();
    return 0;
}
