// count_mallocs.c: counts heap allocations of the program it is preloaded into (LD_PRELOAD), for everybody to read.
// The count is a 64-bit number at the start of the file that COUNT_MALLOCS names. Growing a block counts; freeing
// does not. glibc's own names for its allocator (__libc_...) spare us dlsym, which allocates itself.
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static uint64_t before_file;
static uint64_t *count = &before_file;

__attribute__((constructor)) static void share_count(void) {
    const char *path = getenv("COUNT_MALLOCS");
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof(uint64_t)) != 0) abort();
    void *page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    count = page;
    close(file);
}

static inline void add(void) { __atomic_fetch_add(count, 1, __ATOMIC_RELAXED); }

void *malloc(size_t bytes) {
    add();
    return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes) {
    add();
    return __libc_calloc(number, bytes);
}

void *realloc(void *block, size_t bytes) {
    add();
    return __libc_realloc(block, bytes);
}

void *memalign(size_t alignment, size_t bytes) {
    add();
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    add();
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    add();
    void *made = __libc_memalign(alignment, bytes);
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}
