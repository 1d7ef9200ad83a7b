#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/un.h>

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

int64_t linux_epoll_create(void) { return linux_result(epoll_create1(EPOLL_CLOEXEC)); }

int64_t linux_epoll_wait(int poller, struct epoll_event *events, int count, int64_t timeout) {
    if (timeout <= 0) return linux_result(epoll_wait(poller, events, count, timeout < 0 ? -1 : 0));
    struct timespec limit = {timeout / 1000000000, timeout % 1000000000};
    int64_t ready = linux_result(epoll_pwait2(poller, events, count, &limit, NULL));
    // Sandboxes older than the call refuse it with either code.
    if (ready != -ENOSYS && ready != -EPERM) return ready;
    int64_t milliseconds = (timeout - 1) / 1000000 + 1;  // rounded up: waking early would spin
    return linux_result(epoll_wait(poller, events, count, milliseconds > 60000 ? 60000 : (int)milliseconds));
}

static socklen_t fill_ip(union any_address *out, struct linux_address address) {
    memset(out, 0, sizeof *out);
    if (address.family == AF_INET) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address.port);
        out->v4.sin_addr.s_addr = htonl((uint32_t)address.low);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(address.port);
    out->v6.sin6_scope_id = address.scope;
    uint64_t words[2] = {htobe64(address.high), htobe64(address.low)};
    memcpy(&out->v6.sin6_addr, words, 16);
    return sizeof out->v6;
}

// 0: no valid path.
static socklen_t fill_unix(union any_address *out, const uint8_t *path, size_t count) {
    memset(out, 0, sizeof *out);
    if (count == 0 || count >= sizeof out->local.sun_path || memchr(path, 0, count)) return 0;
    out->local.sun_family = AF_UNIX;
    memcpy(out->local.sun_path, path, count);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + 1);
}

int64_t linux_socket(int family) {
    return linux_result(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

int64_t linux_socket_pair(int *second) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    *second = pair[1];
    return pair[0];
}

int64_t linux_accept(int fd) {
    return linux_result(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int64_t linux_connect(int fd, struct linux_address address) {
    union any_address to;
    socklen_t size = fill_ip(&to, address);
    return linux_result(connect(fd, &to.any, size));
}

int64_t linux_connect_unix(int fd, const uint8_t *path, size_t count) {
    union any_address to;
    socklen_t size = fill_unix(&to, path, count);
    return size ? linux_result(connect(fd, &to.any, size)) : -EINVAL;
}

int64_t linux_bind(int fd, struct linux_address address) {
    union any_address at;
    socklen_t size = fill_ip(&at, address);
    return linux_result(bind(fd, &at.any, size));
}

// Serialises those who look whether a socket is stale: else two could each remove what the other has just bound.
// Nobody can wait here for longer than a second. -1: the folder cannot be locked; then we go on without.
static int lock_folder(const char *path) {
    char copy[sizeof((struct sockaddr_un *)0)->sun_path];
    strcpy(copy, path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct timespec pause = {0, 10000000};
    for (int i = 0; folder >= 0 && i < 100 && flock(folder, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK; i++)
        nanosleep(&pause, NULL);
    return folder;
}

// Whether a socket file is there that nobody listens on.
static int is_stale(union any_address *at, socklen_t size) {
    struct stat file;
    if (lstat(at->local.sun_path, &file) < 0 || !S_ISSOCK(file.st_mode)) return 0;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) return 0;
    int refused = connect(probe, &at->any, size) < 0 && errno == ECONNREFUSED;
    close(probe);
    return refused;
}

// Whether something is there that no socket can listen at.
static int is_no_socket(const union any_address *at) {
    struct stat file;
    return stat(at->local.sun_path, &file) < 0 || !S_ISSOCK(file.st_mode);
}

int64_t linux_listen_unix(int fd, const uint8_t *path, size_t count, int backlog, uint64_t *device, uint64_t *inode) {
    union any_address at;
    socklen_t size = fill_unix(&at, path, count);
    if (!size) return -EINVAL;
    int folder = lock_folder(at.local.sun_path);
    // Nobody can connect before `chmod`: the mode of an unbound socket is that which its file will get.
    int64_t result = linux_result(fchmod(fd, 0600));
    if (result == 0) result = linux_result(bind(fd, &at.any, size));
    if (result == -EADDRINUSE && is_stale(&at, size) && unlink(at.local.sun_path) == 0)
        result = linux_result(bind(fd, &at.any, size));
    if (result == -EADDRINUSE && is_no_socket(&at)) result = -ENOTSOCK;
    struct stat file;
    if (result == 0) result = linux_result(stat(at.local.sun_path, &file));
    if (result == 0) {
        *device = file.st_dev;
        *inode = file.st_ino;
        result = linux_result(chmod(at.local.sun_path, 0660));
        if (result == 0) result = linux_result(listen(fd, backlog));
        if (result < 0) unlink(at.local.sun_path);
    }
    if (folder >= 0) close(folder);
    return result;
}

void linux_unlink_socket(const uint8_t *path, size_t count, uint64_t device, uint64_t inode) {
    union any_address at;
    struct stat file;
    if (!fill_unix(&at, path, count)) return;
    int folder = lock_folder(at.local.sun_path);
    if (stat(at.local.sun_path, &file) == 0 && file.st_dev == device && file.st_ino == inode)
        unlink(at.local.sun_path);
    if (folder >= 0) close(folder);
}

struct linux_address linux_local_address(int fd) {
    union any_address at = {0};
    struct linux_address result = {.family = AF_UNSPEC};
    socklen_t size = sizeof at;
    if (getsockname(fd, &at.any, &size) < 0) return result;
    if (at.any.sa_family == AF_INET) {
        result.low = ntohl(at.v4.sin_addr.s_addr);
        result.port = ntohs(at.v4.sin_port);
    } else if (at.any.sa_family == AF_INET6) {
        uint64_t words[2];
        memcpy(words, &at.v6.sin6_addr, 16);
        result.high = be64toh(words[0]);
        result.low = be64toh(words[1]);
        result.scope = at.v6.sin6_scope_id;
        result.port = ntohs(at.v6.sin6_port);
    } else {
        return result;
    }
    result.family = at.any.sa_family;
    return result;
}

int64_t linux_set_option(int fd, int level, int name, int value) {
    return linux_result(setsockopt(fd, level, name, &value, sizeof value));
}

int64_t linux_get_option(int fd, int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) < 0 ? -errno : value;
}

int64_t linux_peer(int fd, uint32_t *pid, uint32_t *uid, uint32_t *gid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
    *pid = (uint32_t)peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int64_t linux_splice(int from, int to, size_t count) {
    return linux_result(splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

int64_t linux_pipe(int *input) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
    *input = ends[1];
    return ends[0];
}

int64_t linux_pipe_room(int fd, int bytes) { return linux_result(fcntl(fd, F_SETPIPE_SZ, bytes)); }

int64_t linux_event_create(void) { return linux_result(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

int64_t linux_event_add(int fd) {
    uint64_t one = 1;
    return linux_result(write(fd, &one, sizeof one));
}

int64_t linux_signal_create(uint64_t signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int number = 1; number < 64; number++)
        if (signals >> number & 1) sigaddset(&set, number);
    int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
    return failed ? -failed : linux_result(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

int64_t linux_signal_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t count = read(fd, &info, sizeof info);
    return count < 0 ? -errno : (int64_t)info.ssi_signo;
}

void linux_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

int64_t linux_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

struct start {
    void (*run)(void *);
    void *argument;
};

static void *run_thread(void *raw) {
    struct start start = *(struct start *)raw;
    free(raw);
    start.run(start.argument);
    return NULL;
}

int64_t linux_thread_start(uint64_t *thread, const char *name, void (*run)(void *), void *argument) {
    struct start *start = malloc(sizeof *start);
    if (!start) return -ENOMEM;
    *start = (struct start){run, argument};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t handle;
    int failed = pthread_create(&handle, NULL, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(start);
        return -failed;
    }
    pthread_setname_np(handle, name);
    *thread = handle;
    return 0;
}

void linux_thread_join(uint64_t thread) { pthread_join(thread, NULL); }

int64_t linux_thread_cpu(uint64_t thread) {
    clockid_t clock;
    int failed = pthread_getcpuclockid(thread, &clock);
    return failed ? -failed : linux_now(clock);
}
