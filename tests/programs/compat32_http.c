// A 32-bit HTTP server without any library: `compat32_http PORT` answers each read on 127.0.0.1:PORT with three bytes, by the i386 system
// calls of int 0x80 (arch/x86/entry/syscalls/syscall_32.tbl).
enum { READ = 3, WRITE = 4, CLOSE = 6, EXIT = 1, SOCKET = 359, BIND = 361, LISTEN = 363, ACCEPT4 = 364 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

static long call(long number, long a, long b, long c, long d) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
    return result;
}

__attribute__((used, noreturn)) static void serve(const long *stack) {
    unsigned port = 0;
    for (const char *digit = stack[0] > 1 ? (const char *)stack[2] : ""; *digit; digit++)
        port = port * 10 + (unsigned)(*digit - '0');
    // struct sockaddr_in: AF_INET, port and address in network order.
    unsigned char address[16] = {2, 0, (unsigned char)(port >> 8), (unsigned char)port, 127, 0, 0, 1};
    long listener = call(SOCKET, 2, 1, 0, 0);
    if (call(BIND, listener, (long)address, sizeof address, 0) < 0 || call(LISTEN, listener, 16, 0, 0) < 0)
        call(EXIT, 1, 0, 0, 0);
    for (;;) {
        char request[4096];
        long connection = call(ACCEPT4, listener, 0, 0, 0);
        while (call(READ, connection, (long)request, sizeof request, 0) > 0)
            call(WRITE, connection, (long)answer, sizeof answer - 1, 0);
        call(CLOSE, connection, 0, 0, 0);
    }
}

__asm__(".globl _start\n_start:\n\tmovl %esp, %eax\n\tandl $-16, %esp\n\tsubl $12, %esp\n\tpushl %eax\n\tcall serve\n");
