// An HTTP server and a client that move their bytes by io_uring. `server PORT MODE` answers GET /N with N bytes; `client PORT MODE COUNT`
// asks COUNT times on one connection and prints how many body bytes came. MODE is how: send (RECV, SEND), message (RECVMSG, SENDMSG),
// write (READ, WRITEV), multishot (one RECV for all requests, with provided buffers; the client as in send), splice (a client that
// reads heads by recv(2) and bodies by splice(2)), zerocopy (MSG_ZEROCOPY sends), mapped (bodies by TCP_ZEROCOPY_RECEIVE).
// Environment: URING_SETUP, flags of io_uring_setup(2); URING_WORKER, requests are forced to io_uring's workers (IOSQE_ASYNC).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CONNECTIONS = 64, BUFFER = 4096, BODY = 1 << 20, GROUP = 7, PROVIDED = 64 };

struct connection {
    int fd, filled, sending;
    char in[BUFFER];
    char out[256];
    struct iovec vectors[2];
    struct msghdr message;
    int left;
};

static struct io_uring ring;
static struct connection connections[CONNECTIONS];
static char body[BODY];
static struct io_uring_buf_ring *provided;
static char (*buffers)[BUFFER];
static unsigned worker;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int is(const char *mode, const char *name) { return strcmp(mode, name) == 0; }

static struct io_uring_sqe *entry(void) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    return sqe;
}

static void receive(struct connection *c, const char *mode) {
    struct io_uring_sqe *sqe = entry();
    char *at = c->in + c->filled;
    int room = BUFFER - c->filled;
    if (is(mode, "multishot")) {
        io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
    } else if (is(mode, "message")) {
        c->vectors[0] = (struct iovec){at, room};
        c->message = (struct msghdr){.msg_iov = c->vectors, .msg_iovlen = 1};
        io_uring_prep_recvmsg(sqe, c->fd, &c->message, 0);
    } else if (is(mode, "write")) {
        io_uring_prep_read(sqe, c->fd, at, room, 0);
    } else {
        io_uring_prep_recv(sqe, c->fd, at, room, 0);
    }
    sqe->flags |= worker;
    io_uring_sqe_set_data64(sqe, (c - connections) * 2);
}

// Sends what the two vectors hold.
static void send_vectors(struct connection *c, const char *mode) {
    struct io_uring_sqe *sqe = entry();
    if (is(mode, "write")) {
        io_uring_prep_writev(sqe, c->fd, c->vectors, 2, 0);
    } else {
        c->message = (struct msghdr){.msg_iov = c->vectors, .msg_iovlen = 2};
        io_uring_prep_sendmsg(sqe, c->fd, &c->message, MSG_NOSIGNAL);
    }
    io_uring_sqe_set_data64(sqe, (c - connections) * 2 + 1);
    c->sending = 1;
}

static void send_bytes(struct connection *c, char *bytes, int len, int more, unsigned flags) {
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_send(sqe, c->fd, bytes, len, MSG_NOSIGNAL | MSG_WAITALL | more);
    sqe->flags |= flags | worker;
    io_uring_sqe_set_data64(sqe, (c - connections) * 2 + 1);
    c->sending++;
}

static void answer(struct connection *c, const char *mode) {
    char *end = memmem(c->in, c->filled, "\r\n\r\n", 4);
    if (!end) return;
    int n = atoi(c->in + 5);
    int head = sprintf(c->out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n);
    c->filled -= end + 4 - c->in;
    memmove(c->in, end + 4, c->filled);
    c->left = head + n;
    if (is(mode, "message") || is(mode, "write")) {
        c->vectors[0] = (struct iovec){c->out, head};
        c->vectors[1] = (struct iovec){body, n};
        send_vectors(c, mode);
    } else {
        // Two linked requests: the second is submitted before the first is carried out.
        send_bytes(c, c->out, head, n ? MSG_MORE : 0, n ? IOSQE_IO_LINK : 0);
        if (n) send_bytes(c, body, n, 0, 0);
    }
}

static int listener(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64)) fail("listen");
    return fd;
}

static void provide(int id) {
    io_uring_buf_ring_add(provided, buffers[id], BUFFER, id, io_uring_buf_ring_mask(PROVIDED), 0);
    io_uring_buf_ring_advance(provided, 1);
}

static void set_up(const char *mode) {
    const char *setup = getenv("URING_SETUP");
    if (io_uring_queue_init(256, &ring, setup ? strtoul(setup, NULL, 0) : 0)) fail("io_uring");
    worker = getenv("URING_WORKER") ? IOSQE_ASYNC : 0;
    memset(body, 'x', BODY);
    if (!is(mode, "multishot")) return;
    buffers = malloc(PROVIDED * BUFFER);
    provided = mmap(NULL, PROVIDED * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    struct io_uring_buf_reg reg = {.ring_addr = (unsigned long)provided, .ring_entries = PROVIDED, .bgid = GROUP};
    if (io_uring_register_buf_ring(&ring, &reg, 0)) fail("buffer ring");
    io_uring_buf_ring_init(provided);
    for (int id = 0; id < PROVIDED; id++) provide(id);
}

static void received(struct connection *c, const char *mode, struct io_uring_cqe *cqe) {
    if (is(mode, "multishot") && cqe->res > 0) {
        int id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        memcpy(c->in + c->filled, buffers[id], cqe->res);
        provide(id);
    }
    if (cqe->res <= 0) {
        if (cqe->res == -ENOBUFS) return receive(c, mode);
        close(c->fd);
        c->fd = -1;
        return;
    }
    c->filled += cqe->res;
    answer(c, mode);
    int armed = is(mode, "multishot") && cqe->flags & IORING_CQE_F_MORE;
    if (!armed && !c->sending) receive(c, mode);
    if (is(mode, "multishot") && !armed && c->sending) receive(c, mode);
}

static void sent(struct connection *c, const char *mode, int res) {
    c->sending--;
    if (res < 0) return;
    c->left -= res;
    if (c->sending) return;
    if (c->left > 0 && (is(mode, "message") || is(mode, "write"))) {
        // A short send: the rest is body.
        c->vectors[0] = (struct iovec){body, c->left};
        c->vectors[1] = (struct iovec){body, 0};
        return send_vectors(c, mode);
    }
    if (!is(mode, "multishot")) receive(c, mode);
}

static void serve(int port, const char *mode) {
    int fd = listener(port);
    set_up(mode);
    for (int i = 0; i < CONNECTIONS; i++) connections[i].fd = -1;
    const __u64 accepting = CONNECTIONS * 2;
    io_uring_prep_accept(entry(), fd, NULL, NULL, 0);
    io_uring_sqe_set_data64((struct io_uring_sqe *)&ring.sq.sqes[0], accepting);
    for (;;) {
        struct io_uring_cqe *cqe;
        if (io_uring_submit_and_wait(&ring, 1) < 0) fail("submit");
        while (io_uring_peek_cqe(&ring, &cqe) == 0) {
            __u64 data = cqe->user_data;
            if (data == accepting) {
                struct connection *c = connections;
                while (c->fd >= 0) c++;
                *c = (struct connection){.fd = cqe->res};
                receive(c, mode);
                struct io_uring_sqe *sqe = entry();
                io_uring_prep_accept(sqe, fd, NULL, NULL, 0);
                io_uring_sqe_set_data64(sqe, accepting);
            } else if (data & 1) {
                sent(&connections[data / 2], mode, cqe->res);
            } else {
                received(&connections[data / 2], mode, cqe);
            }
            io_uring_cqe_seen(&ring, cqe);
        }
    }
}

static int one(void) {
    struct io_uring_cqe *cqe;
    if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_peek_cqe(&ring, &cqe)) fail("wait");
    int res = cqe->res;
    io_uring_cqe_seen(&ring, cqe);
    return res;
}

static int by_splice(struct connection *c, int left) {
    static int pipes[2];
    static char sink[1 << 16];
    if (!pipes[1] && pipe(pipes)) fail("pipe");
    int n = splice(c->fd, NULL, pipes[1], NULL, left, SPLICE_F_MOVE);
    for (int rest = n; rest > 0;) rest -= read(pipes[0], sink, rest);
    return n;
}

static int by_mapping(struct connection *c, int left) {
    static void *at;
    enum { ROOM = 1 << 20 };
    if (!at && (at = mmap(NULL, ROOM, PROT_READ, MAP_SHARED, c->fd, 0)) == MAP_FAILED) fail("mmap");
    static char copied[1 << 16];
    struct pollfd ready = {.fd = c->fd, .events = POLLIN};
    poll(&ready, 1, 1000);
    struct tcp_zerocopy_receive zc = {.address = (unsigned long)at, .length = left < ROOM ? left & ~4095 : ROOM,
                                      .copybuf_address = (unsigned long)copied, .copybuf_len = left < (int)sizeof copied ? left : (int)sizeof copied};
    socklen_t size = sizeof zc;
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &size)) fail("zerocopy receive");
    if (zc.length + zc.copybuf_len > 0) return zc.length + zc.copybuf_len;
    int n = zc.recv_skip_hint && (int)zc.recv_skip_hint < left ? (int)zc.recv_skip_hint : left;
    return recv(c->fd, copied, n < (int)sizeof copied ? n : (int)sizeof copied, 0);
}

static void ask(int port, const char *mode, int count) {
    struct connection *c = connections;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const int sizes[] = {3000, 12, 0, 500, 20000};
    long total = 0;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    set_up("send");
    int plain = is(mode, "splice") || is(mode, "mapped") || is(mode, "zerocopy"), on = 1;
    if (is(mode, "zerocopy") && setsockopt(c->fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on)) fail("zerocopy");
    for (int i = 0; i < count; i++) {
        int n = sizes[i % 5];
        int len = sprintf(c->out, "GET /%d HTTP/1.1\r\nHost: test\r\nUser-Agent: %s-%d\r\n\r\n", n, mode, i);
        if (plain) {
            if (send(c->fd, c->out, len, is(mode, "zerocopy") ? MSG_ZEROCOPY : 0) != len) fail("send");
            char note[512];
            struct msghdr notes = {.msg_control = note, .msg_controllen = sizeof note};
            if (is(mode, "zerocopy")) recvmsg(c->fd, &notes, MSG_ERRQUEUE | MSG_DONTWAIT);
        } else {
            c->vectors[0] = (struct iovec){c->out, len / 2};
            c->vectors[1] = (struct iovec){c->out + len / 2, len - len / 2};
            if (is(mode, "message") || is(mode, "write")) send_vectors(c, mode);
            else send_bytes(c, c->out, len, 0, 0);
            if (one() != len) fail("send");
        }
        // The head, byte by byte where the body is not to be read with it.
        char *end = NULL;
        for (c->filled = 0; !end; end = memmem(c->in, c->filled, "\r\n\r\n", 4)) {
            int got;
            if (plain) got = recv(c->fd, c->in + c->filled, is(mode, "zerocopy") ? BUFFER - c->filled : 1, 0);
            else receive(c, is(mode, "multishot") ? "send" : mode), got = one();
            if (got <= 0) fail("recv");
            c->filled += got;
        }
        int left = n - (c->filled - (int)(end + 4 - c->in));
        while (left > 0) {
            int got;
            if (is(mode, "splice")) got = by_splice(c, left);
            else if (is(mode, "mapped")) got = by_mapping(c, left);
            else if (plain) got = recv(c->fd, c->in, left < BUFFER ? left : BUFFER, 0);
            else c->filled = 0, receive(c, is(mode, "multishot") ? "send" : mode), got = one();
            if (got <= 0) fail("body");
            left -= got;
        }
        total += n;
        usleep(200);
    }
    printf("%d %ld\n", count, total);
}

int main(int argc, char **argv) {
    if (argc == 4 && is(argv[1], "server")) serve(atoi(argv[2]), argv[3]);
    if (argc == 5 && is(argv[1], "client")) ask(atoi(argv[2]), argv[3], atoi(argv[4]));
    return argc < 4;
}
