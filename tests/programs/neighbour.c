/* A hostile neighbour: a process that nobody asked perfmon to watch, in a shape that hurts whoever looks at it carelessly, with HTTP
   traffic of its own so that it is looked at. The environment says how: NEIGHBOUR =
     talk            only the traffic (the trap is its folder: see tests/tests/live_neighbour.rs)
     maps            as many mappings as the kernel allows
     libraries       maps NEIGHBOUR_FOLDER/N/libssl.so.3 for N from 0
     swap            maps such a file and another, NEIGHBOUR_VICTIM, in turn at one address; the path, too, leads to either in turn
     stall           its arguments and environment lie in memory that never comes (userfaultfd); starts as root, then gives that up
     churn           starts itself anew in NEIGHBOUR_FOLDERS (separated by `:`), one after another, as `node server.js`, for a second each
   It ends on SIGTERM, with its parent, or after NEIGHBOUR_SECONDS. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what) {
    fprintf(stderr, "neighbour: %s: %s\n", what, strerror(errno));
}

static const char *of(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

static void sleep_us(long us) { usleep((useconds_t)us); }

/* One HTTP exchange with itself. */
static void exchange(void) {
    static const char request[] = "GET /neighbour HTTP/1.1\r\nHost: neighbour\r\n\r\n";
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    char buffer[512];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 8) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &length) == 0 && connect(client, (struct sockaddr *)&address, length) == 0) {
        int server = accept(listener, NULL, NULL);
        if (write(client, request, sizeof request - 1) < 0 || read(server, buffer, sizeof buffer) < 0) say("request");
        if (write(server, answer, sizeof answer - 1) < 0 || read(client, buffer, sizeof buffer) < 0) say("answer");
        close(server);
    }
    close(client);
    close(listener);
}

static void talk(void) {
    for (;;) {
        exchange();
        sleep_us(100000);
    }
}

/* Neighbouring pages of different protection are mappings of their own. */
static void many_maps(void) {
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    long limit = 0;
    if (!file || fscanf(file, "%ld", &limit) != 1) limit = 65530;
    limit -= 100;
    char *pages = mmap(NULL, (size_t)limit * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (long page = 0; page < limit; page += 2) {
        if (mprotect(pages + page * 4096, 4096, PROT_NONE) != 0) break;
    }
    talk();
}

static void *map_library(const char *path, void *at) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return NULL;
    void *mapped = mmap(at, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, 0);
    close(fd);
    return mapped == MAP_FAILED ? NULL : mapped;
}

static void many_libraries(void) {
    char path[4096];
    int number = 0;
    do snprintf(path, sizeof path, "%s/%d/libssl.so.3", of("NEIGHBOUR_FOLDER"), number++);
    while (map_library(path, NULL));
    fprintf(stderr, "neighbour: %d libraries\n", number - 1);
    talk();
}

/* A process of its own for each file, since a file is looked at once. */
static void swap_one(int number) {
    char path[4096], kept[4200];
    snprintf(path, sizeof path, "%s/%d/libssl.so.3", of("NEIGHBOUR_FOLDER"), number);
    snprintf(kept, sizeof kept, "%s.kept", path);
    void *at = map_library(path, NULL);
    if (!at) {
        say(path);
        _exit(0);
    }
    srand((unsigned)getpid());
    for (int turn = 0; turn < 300; turn++) {
        if (turn % 30 == 0) exchange();
        sleep_us(rand() % 2000);
        map_library(of("NEIGHBOUR_VICTIM"), at);
        if (rename(path, kept) == 0 && symlink(of("NEIGHBOUR_VICTIM"), path) != 0) say("symlink");
        sleep_us(rand() % 3000);
        if (rename(kept, path) != 0) say("rename");
        map_library(path, at);
    }
    _exit(0);
}

static void swap(void) {
    for (int number = 0;; number++) {
        if (fork() == 0) swap_one(number % atoi(of("NEIGHBOUR_FILES")));
        sleep_us(200000);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
}

/* Whoever reads the arguments or the environment of this process waits for a page that is never given: it runs anew with so many of both
   that they have pages of their own, and takes these away from the end of the first one on. */
static void stall(int argc, char **argv) {
    if (argc < 3) {
        char *long_one = calloc(1, 100001);
        memset(long_one, 'a', 100000);
        setenv("PADDING", long_one, 1);
        execl("/proc/self/exe", "node", "server.js", long_one, NULL);
    }
    char **last = environ;
    while (last[1]) last++;
    unsigned long start = ((unsigned long)argv[0] | 4095) + 1, end = ((unsigned long)*last + 90000) & ~4095UL;
    int fault = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register area = {.range = {start, end - start}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (madvise((void *)start, end - start, MADV_DONTNEED) != 0) say("MADV_DONTNEED");
    if (fault < 0 || ioctl(fault, UFFDIO_API, &api) != 0 || ioctl(fault, UFFDIO_REGISTER, &area) != 0) say("userfaultfd");
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) exit(3);
    prctl(PR_SET_DUMPABLE, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fprintf(stderr, "neighbour: stalls\n");
    talk();
}

static void churn(void) {
    for (;;) {
        char *folders = strdup(of("NEIGHBOUR_FOLDERS"));
        for (char *folder = strtok(folders, ":"); folder; folder = strtok(NULL, ":")) {
            if (fork() == 0) {
                setenv("NEIGHBOUR", "talk", 1);
                setenv("NEIGHBOUR_SECONDS", "1", 1);
                if (chdir(folder) == 0) execl("./node", "node", "server.js", NULL);
                say(folder);
                _exit(1);
            }
            sleep_us(100000);
            while (waitpid(-1, NULL, WNOHANG) > 0) {}
        }
        free(folders);
    }
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int seconds = atoi(of("NEIGHBOUR_SECONDS"));
    alarm(seconds > 0 ? (unsigned)seconds : 120);
    const char *mode = of("NEIGHBOUR");
    if (strcmp(mode, "talk") == 0) talk();
    if (strcmp(mode, "maps") == 0) many_maps();
    if (strcmp(mode, "libraries") == 0) many_libraries();
    if (strcmp(mode, "swap") == 0) swap();
    if (strcmp(mode, "stall") == 0) stall(argc, argv);
    if (strcmp(mode, "churn") == 0) churn();
    return 2;
}
