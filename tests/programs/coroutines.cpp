// A TLS client of C++20 coroutines: each connection is a coroutine on the heap, one epoll loop resumes them. Arguments: port, number of
// connections, seconds. Each coroutine asks for /bytes/1000 over a new connection 20 times, then again. At the end, or on SIGTERM, it prints
// {"done", "failed"}. Each TLS call is entered from a coroutine's frame and resumed by another: what return probes may not assume.
#include <arpa/inet.h>
#include <csignal>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <ctime>
#include <unistd.h>

static int loop_fd;
static volatile sig_atomic_t ending;
static unsigned long done_count, failed_count;
static SSL_CTX *context;
static int server_port;

// Started at once, destroyed at its end.
struct Task {
    struct promise_type {
        Task get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::abort(); }
    };
};

// Suspends until a descriptor can be read or written.
struct Ready {
    int fd;
    unsigned events;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        epoll_event event{};
        event.events = events | EPOLLONESHOT;
        event.data.ptr = handle.address();
        if (epoll_ctl(loop_fd, EPOLL_CTL_MOD, fd, &event) != 0) epoll_ctl(loop_fd, EPOLL_CTL_ADD, fd, &event);
    }
    void await_resume() {}
};

// What a TLS call waits for; 0 when it failed.
static unsigned wanted(SSL *ssl, int result) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ: return EPOLLIN;
    case SSL_ERROR_WANT_WRITE: return EPOLLOUT;
    default: return 0;
    }
}

static int connected() {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) {
        close(fd);
        return -1;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

// Whether `have` bytes of an answer hold all of it: head and 1,000 bytes.
static bool whole(const char *answer, size_t have) {
    const void *end = memmem(answer, have, "\r\n\r\n", 4);
    return end && have >= static_cast<size_t>(static_cast<const char *>(end) - answer) + 4 + 1000;
}

static Task client(int number) {
    static const char request[] = "GET /bytes/1000 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: coroutines\r\n\r\n";
    while (!ending) {
        int fd = connected();
        if (fd < 0) {
            if (!ending) failed_count++;
            co_return;
        }
        SSL *ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        bool good = true;
        for (int result; good && (result = SSL_connect(ssl)) != 1;) {
            unsigned events = wanted(ssl, result);
            if (events) co_await Ready{fd, events};
            good = events != 0;
        }
        for (int round = 0; good && round < 20 && !ending; round++) {
            for (int result; good && (result = SSL_write(ssl, request, sizeof request - 1)) <= 0;) {
                unsigned events = wanted(ssl, result);
                if (events) co_await Ready{fd, events};
                good = events != 0;
            }
            char answer[4096];
            size_t have = 0;
            while (good && !whole(answer, have)) {
                int result = SSL_read(ssl, answer + have, static_cast<int>(sizeof answer - have));
                if (result > 0) {
                    have += static_cast<size_t>(result);
                    continue;
                }
                unsigned events = wanted(ssl, result);
                if (events) co_await Ready{fd, events};
                good = events != 0;
            }
            good = good && memcmp(answer, "HTTP/1.1 200", 12) == 0;
            if (good) done_count++;
        }
        if (!good) {
            failed_count++;
            fprintf(stderr, "connection of coroutine %d failed\n", number);
        }
        SSL_free(ssl);
        close(fd);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    server_port = atoi(argv[1]);
    signal(SIGTERM, [](int) { ending = 1; });
    signal(SIGPIPE, SIG_IGN);
    alarm(static_cast<unsigned>(atoi(argv[3])));
    signal(SIGALRM, [](int) { ending = 1; });
    context = SSL_CTX_new(TLS_client_method());
    loop_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int number = 0; number < atoi(argv[2]); number++) client(number);
    while (!ending) {
        epoll_event events[64];
        int count = epoll_wait(loop_fd, events, 64, 100);
        for (int i = 0; i < count; i++) std::coroutine_handle<>::from_address(events[i].data.ptr).resume();
        timespec pause{0, 2'000'000}; // so that the load leaves room for the others
        nanosleep(&pause, nullptr);
    }
    printf("{\"done\": %lu, \"failed\": %lu}\n", done_count, failed_count);
    return 0;
}
