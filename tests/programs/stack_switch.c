/* A program that switches its stack inside TLS calls: a client and a server of one TLS connection, each on a stack of its own
   (ucontext); where the transport has no bytes, its read callback switches to the other stack. So SSL_read of one stack returns between
   entry and return of the other's, as in frameworks of user-space threads. A return probe on SSL_read kills it. Arguments: certificate,
   key, seconds. At the end, or on SIGTERM, it prints {"done", "failed"}; done = round trips. */
#define _GNU_SOURCE
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* One direction of the transport. */
struct pipe {
    char bytes[65536];
    size_t from, to;
};

static struct pipe to_server, to_client;
static ucontext_t main_stack, client_stack, server_stack;
static volatile sig_atomic_t ending;
static unsigned long done_count, failed_count;
static SSL *client, *server;

static void stop(int number) { (void)number; ending = 1; }

static int put(struct pipe *pipe, const char *data, int length) {
    if (pipe->from == pipe->to) pipe->from = pipe->to = 0;
    if (pipe->to + (size_t)length > sizeof pipe->bytes) abort();
    memcpy(pipe->bytes + pipe->to, data, (size_t)length);
    pipe->to += (size_t)length;
    return length;
}

static int take(struct pipe *pipe, char *data, int length) {
    size_t there = pipe->to - pipe->from;
    if (there > (size_t)length) there = (size_t)length;
    memcpy(data, pipe->bytes + pipe->from, there);
    pipe->from += there;
    return (int)there;
}

/* BIO callbacks of both ends; BIO_get_data says which. */
static int bio_read(BIO *bio, char *data, int length) {
    int of_client = BIO_get_data(bio) == &client;
    struct pipe *pipe = of_client ? &to_client : &to_server;
    while (pipe->from == pipe->to) {
        if (of_client) swapcontext(&client_stack, &server_stack);
        else swapcontext(&server_stack, &client_stack);
    }
    return take(pipe, data, length);
}

static int bio_write(BIO *bio, const char *data, int length) {
    return put(BIO_get_data(bio) == &client ? &to_server : &to_client, data, length);
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static SSL *endpoint(SSL_CTX *context, SSL **which) {
    static BIO_METHOD *method;
    if (!method) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stacks");
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    BIO *bio = BIO_new(method);
    BIO_set_data(bio, which);
    BIO_set_init(bio, 1);
    SSL *ssl = SSL_new(context);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

/* Reads exactly so many bytes; whether they came. Each end has its own copy, so that a return to the other end's caller is a return to
   the wrong place. */
static inline __attribute__((always_inline)) int read_all(SSL *ssl, char *data, int length) {
    for (int have = 0; have < length;) {
        int result = SSL_read(ssl, data + have, length - have);
        if (result <= 0) return 0;
        have += result;
    }
    return 1;
}

static void serve(void) {
    char data[1000];
    if (SSL_accept(server) != 1) failed_count++;
    for (;;) {
        if (!read_all(server, data, sizeof data) || SSL_write(server, data, sizeof data) != sizeof data) {
            failed_count++;
            swapcontext(&server_stack, &main_stack);
        }
    }
}

static void ask(void) {
    char data[1000], answer[1000];
    struct timespec pause = {0, 500000};
    if (SSL_connect(client) != 1) failed_count++;
    for (unsigned long number = 0; !ending && !failed_count; number++) {
        memset(data, (int)('a' + number % 26), sizeof data);
        int good = SSL_write(client, data, sizeof data) == sizeof data && read_all(client, answer, sizeof answer);
        if (good && memcmp(data, answer, sizeof data) == 0) done_count++;
        else failed_count++;
        nanosleep(&pause, NULL);
    }
    swapcontext(&client_stack, &main_stack);
}

static void on_stack(ucontext_t *stack, void (*function)(void)) {
    getcontext(stack);
    stack->uc_stack.ss_sp = malloc(1 << 20);
    stack->uc_stack.ss_size = 1 << 20;
    stack->uc_link = &main_stack;
    makecontext(stack, function, 0);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    signal(SIGTERM, stop);
    signal(SIGALRM, stop);
    alarm((unsigned)atoi(argv[3]));
    SSL_CTX *clients = SSL_CTX_new(TLS_client_method()), *servers = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_file(servers, argv[1], SSL_FILETYPE_PEM) != 1) return 3;
    if (SSL_CTX_use_PrivateKey_file(servers, argv[2], SSL_FILETYPE_PEM) != 1) return 3;
    client = endpoint(clients, &client);
    server = endpoint(servers, &server);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    on_stack(&client_stack, ask);
    on_stack(&server_stack, serve);
    swapcontext(&main_stack, &client_stack);
    printf("{\"done\": %lu, \"failed\": %lu}\n", done_count, failed_count);
    return failed_count != 0;
}
