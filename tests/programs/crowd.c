// A crowd of everything that makes an observer remember something, on loopback; both ends are here. Arguments `shape=count`, in order:
//   heads        connections that send 40 KB of a request's head and never its end
//   connections  connections with one exchange each, then open; twice as many exchanges with a second round
//   processes    processes that live for one exchange
//   paths        requests with paths that never come twice, answered 404
// Prints `listening`, at SIGUSR1 the name of each shape when it is complete, at the next one closes everything and prints `closed`. Each shape is a process of its own
// and there are several servers, since a process has some 20,000 descriptors at most.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 40000, PIECE = 8000, PROCESSES_AT_ONCE = 4, SERVERS = 4, SHAPES = 16, FILES = 65536 };

static int opened[FILES], opened_count;
// How much of the empty line that ends a head came last, and whether the request's path begins with `/scan`, by descriptor of the server.
static unsigned char matched[FILES], scanned[FILES];

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in address(int host, int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000001 + host)};
}

static void answer(int fd) {
    static const char found[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    if (scanned[fd])
        send(fd, missing, sizeof missing - 1, MSG_NOSIGNAL);
    else
        send(fd, found, sizeof found - 1, MSG_NOSIGNAL);
}

static void serve(int listener) {
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    static char bytes[65536];
    for (;;) {
        int ready = epoll_wait(poll, events, 256, -1);
        for (int at = 0; at < ready; at++) {
            int fd = events[at].data.fd;
            if (fd == listener) {
                int new = accept(listener, NULL, NULL);
                if (new < 0)
                    continue;
                matched[new] = 0;
                event.data.fd = new;
                epoll_ctl(poll, EPOLL_CTL_ADD, new, &event);
                continue;
            }
            ssize_t count = recv(fd, bytes, sizeof bytes, 0);
            if (count <= 0) {
                close(fd);
                continue;
            }
            if (matched[fd] == 0)
                scanned[fd] = count > 9 && memcmp(bytes, "GET /scan", 9) == 0;
            for (ssize_t byte = 0; byte < count; byte++) {
                matched[fd] = bytes[byte] == "\r\n\r\n"[matched[fd]] ? matched[fd] + 1 : bytes[byte] == '\r';
                if (matched[fd] == 4) {
                    matched[fd] = 0;
                    answer(fd);
                }
            }
        }
    }
}

static int connected(int number, int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in from = address(1 + number % 8, 0), to = address(0, port);
    check(fd >= 0, "socket");
    check(bind(fd, (struct sockaddr *)&from, sizeof from) == 0, "bind");
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    return fd;
}

static void exchange(int fd, const char *path) {
    static int exchanges;
    // 16,000 a second and shape: slow enough for the ring of whoever looks on.
    if (++exchanges % 16 == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    char text[512];
    int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: crowd\r\n\r\n", path);
    check(send(fd, text, len, MSG_NOSIGNAL) == len, "send");
    check(recv(fd, text, sizeof text, 0) > 0, "recv");
}

static void heads(int count, int port) {
    static char piece[PIECE];
    memset(piece, 'h', sizeof piece);
    int first = opened_count;
    for (int number = 0; number < count; number++)
        opened[opened_count++] = connected(number, port);
    for (int sent = 0; sent < HEAD_BYTES; sent += PIECE)
        for (int number = 0; number < count; number++) {
            memcpy(piece, sent == 0 ? "GET /long HTTP/1.1\r\nX-Long: " : "hhhhhhhhhhhhhhhhhhhhhhhhhhhh", 28);
            check(send(opened[first + number], piece, sizeof piece, MSG_NOSIGNAL) == sizeof piece, "send");
            // 20 MB a second: slow enough for the ring of whoever looks on.
            nanosleep(&(struct timespec){.tv_nsec = PIECE * 50}, NULL);
        }
}

static void connections(int count, int port) {
    int first = opened_count;
    for (int number = 0; number < count; number++) {
        opened[opened_count] = connected(number, port);
        exchange(opened[opened_count++], "/open");
    }
    for (int number = 0; number < count; number++)
        exchange(opened[first + number], "/again");
}

static void processes(int count, int port, const char *program) {
    char name[64];
    snprintf(name, sizeof name, "one=%d", port);
    for (int number = 0; number < count; number++) {
        if (number >= PROCESSES_AT_ONCE)
            wait(NULL);
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            execl(program, program, name, NULL);
            _exit(1);
        }
    }
    for (int number = 0; number < PROCESSES_AT_ONCE; number++)
        wait(NULL);
}

static void paths(int count, int port) {
    int fd = connected(0, port);
    opened[opened_count++] = fd;
    for (int number = 0; number < count; number++) {
        char path[256], word[17];
        unsigned long long random = number * 0x9e3779b97f4a7c15ull;
        for (int letter = 0; letter < 16; letter++, random >>= 4)
            word[letter] = 'a' + (random & 15);
        word[16] = 0;
        snprintf(path, sizeof path, "/scan/%s/%s.php", word, word + 8);
        exchange(fd, path);
    }
}

static volatile sig_atomic_t is_asked;
static void asked(int signal) {
    (void)signal;
    is_asked = 1;
}

static int listening(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    check(bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 4096) == 0, "listen");
    return fd;
}

// Starts a child; in the parent gives its pid.
static pid_t child(void) {
    fflush(stdout);
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void wait_until_asked(void) {
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    while (!is_asked)
        sigsuspend(&before);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void make(const char *shape, int number, int port, const char *program) {
    if (strcmp(shape, "heads") == 0)
        heads(number, port);
    else if (strcmp(shape, "connections") == 0)
        connections(number, port);
    else if (strcmp(shape, "processes") == 0)
        processes(number, port, program);
    else if (strcmp(shape, "paths") == 0)
        paths(number, port);
}

int main(int count, char **arguments) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int number;
    if (count == 2 && sscanf(arguments[1], "one=%d", &number) == 1) {
        exchange(connected(0, number), "/one");
        return 0;
    }
    struct sigaction action = {.sa_handler = asked};
    sigaction(SIGUSR1, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listeners[SERVERS], port = 0;
    for (int at = 0; at < SERVERS; at++) {
        struct sockaddr_in own;
        socklen_t size = sizeof own;
        listeners[at] = listening(port);
        getsockname(listeners[at], (struct sockaddr *)&own, &size);
        port = ntohs(own.sin_port);
        fcntl(listeners[at], F_SETFL, O_NONBLOCK);
    }
    for (int at = 0; at < SERVERS; at++)
        if (child() == 0) {
            for (int other = 0; other < SERVERS; other++)
                if (other != at)
                    close(listeners[other]);
            serve(listeners[at]);
        }
    for (int at = 0; at < SERVERS; at++)
        close(listeners[at]);
    printf("listening\n");
    wait_until_asked();
    is_asked = 0;
    pid_t shapes[SHAPES];
    for (int at = 1; at < count && at < SHAPES; at++) {
        char shape[32];
        int ready[2];
        check(sscanf(arguments[at], "%31[a-z]=%d", shape, &number) == 2, "shape=count");
        check(pipe(ready) == 0, "pipe");
        if ((shapes[at] = child()) == 0) {
            make(shape, number, port, arguments[0]);
            printf("%s\n", shape);
            close(ready[0]);
            close(ready[1]);
            wait_until_asked();
            return 0;
        }
        close(ready[1]);
        check(read(ready[0], shape, 1) == 0, "pipe");
        close(ready[0]);
    }
    wait_until_asked();
    for (int at = 1; at < count && at < SHAPES; at++)
        kill(shapes[at], SIGUSR1);
    for (int at = 1; at < count && at < SHAPES; at++)
        waitpid(shapes[at], NULL, 0);
    printf("closed\n");
    for (;;)
        pause();
}
