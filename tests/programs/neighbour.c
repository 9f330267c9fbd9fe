/* A hostile neighbour: a process that nobody asked perfmon to watch, in a shape that hurts whoever looks at it carelessly, with HTTP
   traffic of its own so that it is looked at. The environment says how: NEIGHBOUR =
     talk            only the traffic (the trap is its folder: see tests/tests/live_neighbour.rs)
     maps            as many mappings as the kernel allows, locked again and again
     libraries       maps NEIGHBOUR_FOLDER/N/libssl.so.3 for N from 0
     swap            maps such a file and another, NEIGHBOUR_VICTIM, in turn at one address; the path, too, leads to either in turn
     stall           mounts at NEIGHBOUR_FOLDER a file system whose only file, package.json, never comes (FUSE) and starts NEIGHBOUR_NODE in it;
                     starts as root, then gives that up
     churn           starts itself anew in NEIGHBOUR_FOLDERS (separated by `:`), one after another, as `node server.js`, for a second each
   It ends on SIGTERM, with its parent, or after NEIGHBOUR_SECONDS. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

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

/* Runs this program as `node server.js` in a folder. */
static void run_as_node(const char *folder, const char *program, const char *seconds) {
    setenv("NEIGHBOUR", "talk", 1);
    setenv("NEIGHBOUR_SECONDS", seconds, 1);
    if (chdir(folder) == 0) execl(program, "node", "server.js", NULL);
    say(folder);
    _exit(1);
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
    fprintf(stderr, "neighbour: %ld mappings\n", limit);
    /* A fork copies them all and lets nobody look at them meanwhile. */
    for (;;) {
        exchange();
        if (fork() == 0) _exit(0);
        wait(NULL);
        sleep_us(1000000);
    }
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

static void answer(int fuse, const struct fuse_in_header *in, int error, const void *data, size_t length) {
    struct fuse_out_header out = {(unsigned)(sizeof out + length), error, in->unique};
    struct iovec parts[] = {{&out, sizeof out}, {(void *)data, length}};
    if (writev(fuse, parts, 2) < 0 && errno != ENOENT) say("fuse");
}

static struct fuse_attr attributes(unsigned long node) {
    struct fuse_attr attr = {.ino = node, .nlink = 1, .uid = NOBODY, .gid = NOBODY, .blksize = 4096};
    attr.mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644;
    attr.size = node == 1 ? 0 : 100;
    return attr;
}

/* A file system with one file, package.json, whose content never comes. */
static void serve_files(int fuse) {
    static char request[1 << 17];
    while (read(fuse, request, sizeof request) > 0) {
        struct fuse_in_header *in = (struct fuse_in_header *)request;
        if (in->opcode == FUSE_INIT) {
            struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 65536, .max_readahead = 65536};
            answer(fuse, in, 0, &init, sizeof init);
        } else if (in->opcode == FUSE_LOOKUP && strcmp(request + sizeof *in, "package.json") == 0) {
            struct fuse_entry_out entry = {.nodeid = 2, .attr = attributes(2)};
            answer(fuse, in, 0, &entry, sizeof entry);
        } else if (in->opcode == FUSE_LOOKUP) {
            answer(fuse, in, -ENOENT, NULL, 0);
        } else if (in->opcode == FUSE_GETATTR) {
            struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
            answer(fuse, in, 0, &out, sizeof out);
        } else if (in->opcode == FUSE_OPEN || in->opcode == FUSE_OPENDIR) {
            struct fuse_open_out open = {.open_flags = FOPEN_DIRECT_IO};
            answer(fuse, in, 0, &open, sizeof open);
        } else if (in->opcode == FUSE_READ || in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET || in->opcode == FUSE_INTERRUPT) {
            continue;
        } else {
            answer(fuse, in, -ENOSYS, NULL, 0);
        }
    }
    _exit(0);
}

static void be_nobody(void) {
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0) exit(3);
    prctl(PR_SET_DUMPABLE, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A process in the folder of such a file system. */
static void files_that_stall(void) {
    char options[200];
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", fuse, NOBODY, NOBODY);
    if (fuse < 0 || mount("neighbour", of("NEIGHBOUR_FOLDER"), "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
        say("no file system of its own");
        exit(4);
    }
    be_nobody();
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_files(fuse);
    }
    for (;;) {
        if (fork() == 0) run_as_node(of("NEIGHBOUR_FOLDER"), of("NEIGHBOUR_NODE"), "2");
        sleep_us(1000000);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
}

static void churn(void) {
    for (;;) {
        char *folders = strdup(of("NEIGHBOUR_FOLDERS"));
        for (char *folder = strtok(folders, ":"); folder; folder = strtok(NULL, ":")) {
            if (fork() == 0) run_as_node(folder, "./node", "1");
            sleep_us(100000);
            while (waitpid(-1, NULL, WNOHANG) > 0) {}
        }
        free(folders);
    }
}

int main(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int seconds = atoi(of("NEIGHBOUR_SECONDS"));
    alarm(seconds > 0 ? (unsigned)seconds : 120);
    const char *mode = of("NEIGHBOUR");
    if (strcmp(mode, "talk") == 0) talk();
    if (strcmp(mode, "maps") == 0) many_maps();
    if (strcmp(mode, "libraries") == 0) many_libraries();
    if (strcmp(mode, "swap") == 0) swap();
    if (strcmp(mode, "stall") == 0) files_that_stall();
    if (strcmp(mode, "churn") == 0) churn();
    return 2;
}
