// Processes that preempt one another on one processor: `preempt SHAPE CPU WORKERS SECONDS`. Each worker exchanges HTTP messages with itself over a
// unix socket (SHAPE unix), TCP (tcp) or OpenSSL on TCP (tls). The first one is a real-time process that sleeps after each exchange for about as
// long as one takes, so that it wakes in the midst of the others' work. Messages say who sent them: `POST /p/PID/NUMBER`, an answer of a size
// of its own, bodies of blocks `PID:NUMBER|`, hexadecimal. Prints `PID=EXCHANGES` of each. Built with the guest's library, whose headers are not
// there.
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
const void *TLS_method(void);
SSL_CTX *SSL_CTX_new(const void *);
SSL *SSL_new(SSL_CTX *);
int SSL_CTX_use_certificate_file(SSL_CTX *, const char *, int);
int SSL_CTX_use_PrivateKey_file(SSL_CTX *, const char *, int);
int SSL_set_fd(SSL *, int);
void SSL_set_accept_state(SSL *);
void SSL_set_connect_state(SSL *);
int SSL_do_handshake(SSL *);
int SSL_write(SSL *, const void *, int);
int SSL_read(SSL *, void *, int);

enum { BLOCK = 16, ROOM = 2048, PEM = 1, TRIES = 1000, TRY_PAUSE_NS = 1000000, PLAIN_PAUSE_NS = 1000000, TLS_PAUSE_NS = 5000000 };

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// preempt.py computes these sizes too.
static int blocks(unsigned number, int is_answer) {
    return is_answer ? 20 + (int)(number % 23) : 30 + (int)(number % 17);
}

static int message(char *text, unsigned number, int is_answer) {
    int size = BLOCK * blocks(number, is_answer);
    int length = is_answer ? sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
                           : sprintf(text, "POST /p/%d/%u HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", getpid(), number, size);
    for (int block = 0; block < blocks(number, is_answer); block++)
        length += sprintf(text + length, "%07x:%07x|", (unsigned)getpid(), number);
    return length;
}

// Both ends of a connection of this process.
static void connected(int family, int ends[2]) {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } address = {.any.sa_family = (sa_family_t)family};
    socklen_t length = sizeof address.in;
    if (family == AF_UNIX)
        length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)sprintf(address.un.sun_path + 1, "preempt-%d", getpid()));
    else
        address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(family, SOCK_STREAM, 0);
    check(bind(listener, &address.any, length) == 0 && listen(listener, 1) == 0, "listen");
    check(getsockname(listener, &address.any, &length) == 0, "getsockname");
    ends[0] = socket(family, SOCK_STREAM, 0);
    check(connect(ends[0], &address.any, length) == 0, "connect");
    ends[1] = accept(listener, 0, 0);
    check(ends[1] >= 0, "accept");
    close(listener);
}

static void secured(const int ends[2], SSL *sides[2]) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    check(SSL_CTX_use_certificate_file(context, "/t/cert.pem", PEM) == 1 && SSL_CTX_use_PrivateKey_file(context, "/t/key.pem", PEM) == 1, "key");
    for (int side = 0; side < 2; side++) {
        fcntl(ends[side], F_SETFL, O_NONBLOCK);
        sides[side] = SSL_new(context);
        SSL_set_fd(sides[side], ends[side]);
    }
    SSL_set_connect_state(sides[0]);
    SSL_set_accept_state(sides[1]);
    int done = 0;
    for (int tries = 0; tries < TRIES && !done; tries++) {
        int client = SSL_do_handshake(sides[0]), server = SSL_do_handshake(sides[1]);
        done = client == 1 && server == 1;
        nanosleep(&(struct timespec){0, done ? 0 : TRY_PAUSE_NS}, 0);
    }
    check(done, "handshake");
    fcntl(ends[0], F_SETFL, 0);
    fcntl(ends[1], F_SETFL, 0);
}

static unsigned exchanges(double end, int family, int is_tls, int wakes) {
    int ends[2];
    SSL *sides[2];
    char sent[ROOM], came[ROOM];
    unsigned number = 0;
    connected(family, ends);
    if (is_tls)
        secured(ends, sides);
    for (; now() < end; number++) {
        for (int from = 0; from < 2; from++) {
            int length = message(sent, number, from);
            long written = is_tls ? SSL_write(sides[from], sent, length) : write(ends[from], sent, (size_t)length);
            long came_back = 0, more = 1;
            for (; came_back < length && more > 0; came_back += more)
                more = is_tls ? SSL_read(sides[!from], came + came_back, ROOM - (int)came_back)
                              : read(ends[!from], came + came_back, (size_t)(ROOM - came_back));
            check(written == length && came_back == length && memcmp(sent, came, (size_t)length) == 0, "exchange");
        }
        if (wakes)
            nanosleep(&(struct timespec){0, is_tls ? TLS_PAUSE_NS : PLAIN_PAUSE_NS}, 0);
    }
    return number;
}

int main(int count, char **words) {
    check(count == 5, "usage: preempt unix|tcp|tls CPU WORKERS SECONDS");
    int is_tls = strcmp(words[1], "tls") == 0, family = strcmp(words[1], "unix") ? AF_INET : AF_UNIX, workers = atoi(words[3]);
    double end = now() + atof(words[4]);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(atoi(words[2]), &one);
    check(sched_setaffinity(0, sizeof one, &one) == 0, "affinity");
    for (int worker = 0; worker < workers; worker++) {
        if (fork() == 0) {
            if (worker == 0)
                check(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){10}) == 0, "real time");
            unsigned done = exchanges(end, family, is_tls, worker == 0);
            dprintf(1, "%d=%u\n", getpid(), done);
            _exit(0);
        }
    }
    int status, failed = 0;
    while (wait(&status) > 0)
        failed |= status;
    return failed != 0;
}
