// CLinux: the Linux calls that Swift's Glibc module lacks or can only reach through pointers. Short shims
// only. Each returns a count or descriptor, or the negated errno: so no caller has to read `errno`.
#ifndef OUTRIGGER_CLINUX_H
#define OUTRIGGER_CLINUX_H

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// An IP address with port. family: AF_INET (low: the four bytes) or AF_INET6; AF_UNSPEC: none.
struct linux_address {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    int family;
};

static inline int64_t linux_result(int64_t value) { return value < 0 ? -errno : value; }

// The hot path.
static inline int64_t linux_now(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t linux_epoll_control(int poller, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return linux_result(epoll_ctl(poller, operation, fd, &event));
}

static inline uint32_t linux_event_flags(const struct epoll_event *event) { return event->events; }
static inline uint64_t linux_event_token(const struct epoll_event *event) { return event->data.u64; }

static inline int64_t linux_receive(int fd, void *bytes, size_t count) {
    return linux_result(recv(fd, bytes, count, 0));
}

static inline int64_t linux_receive2(int fd, void *first, size_t first_count, void *second, size_t second_count) {
    const struct iovec parts[2] = {{first, first_count}, {second, second_count}};
    return linux_result(readv(fd, parts, 2));
}

// 1: there is something to read; 0: end of file; -EAGAIN: neither.
static inline int64_t linux_peek(int fd) {
    char byte;
    return linux_result(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
}

static inline int64_t linux_send(int fd, const void *bytes, size_t count) {
    return linux_result(send(fd, bytes, count, MSG_NOSIGNAL));
}

static inline int64_t linux_send3(int fd, const void *b0, size_t n0, const void *b1, size_t n1, const void *b2,
                                  size_t n2) {
    struct iovec parts[3] = {{(void *)b0, n0}, {(void *)b1, n1}, {(void *)b2, n2}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    return linux_result(sendmsg(fd, &message, MSG_NOSIGNAL));
}

// Moves pages from a socket to a pipe or from a pipe to a socket. 0: end of file.
int64_t linux_splice(int from, int to, size_t count);

// The environment: pointers to `NAME=VALUE`, the last of them NULL.
extern char **environ;
static inline char **linux_environment(void) { return environ; }

// The rest.
int64_t linux_epoll_wait(int poller, struct epoll_event *events, int count, int64_t timeout_nanoseconds);
int64_t linux_epoll_create(void);
int64_t linux_socket(int family);
int64_t linux_socket_pair(int *second);
int64_t linux_accept(int fd);
int64_t linux_connect(int fd, struct linux_address address);
int64_t linux_connect_unix(int fd, const uint8_t *path, size_t count);
int64_t linux_bind(int fd, struct linux_address address);
// Binds with mode 0660, replaces a stale socket file, listens. -EADDRINUSE: another process listens there;
// -ENOTSOCK: what is there is no socket.
int64_t linux_listen_unix(int fd, const uint8_t *path, size_t count, int backlog, uint64_t *device, uint64_t *inode);
// Removes the file unless another has taken its place.
void linux_unlink_socket(const uint8_t *path, size_t count, uint64_t device, uint64_t inode);
struct linux_address linux_local_address(int fd);
int64_t linux_set_option(int fd, int level, int name, int value);
int64_t linux_get_option(int fd, int level, int name);
int64_t linux_peer(int fd, uint32_t *pid, uint32_t *uid, uint32_t *gid);
// Returns the end to read from.
int64_t linux_pipe(int *input);
int64_t linux_pipe_room(int fd, int bytes);
int64_t linux_event_create(void);
int64_t linux_event_add(int fd);
// `signals` is a bit mask, bit n for signal n: blocked in this thread and those it will start.
int64_t linux_signal_create(uint64_t signals);
int64_t linux_signal_read(int fd);
void linux_ignore_sigpipe(void);
int64_t linux_raise_descriptor_limit(void);
// Starts a thread with every signal blocked.
int64_t linux_thread_start(uint64_t *thread, const char *name, void (*run)(void *), void *argument);
void linux_thread_join(uint64_t thread);
int64_t linux_thread_cpu(uint64_t thread);

// Gives pages of freed memory back to the system; glibc itself only does so at the end of a heap.
static inline void linux_memory_trim(void) { malloc_trim(0); }

#endif
