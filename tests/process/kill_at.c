/* A power cut at a chosen moment: the process kills itself instead of making the KILL_AT-th call of those that change a file.
   Preloaded into the program. Of writes to the same file one after another only the first two are counted: to be killed
   before a later one leaves the same kind of state. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int written_to = -1, writes;

static void count(void) {
    static atomic_int made;
    const char *last = getenv("KILL_AT");
    if (last && atomic_fetch_add(&made, 1) + 1 == atoi(last)) raise(SIGKILL);
}

static void step(void) {
    written_to = -1;
    count();
}

static void write_step(int fd) {
    if (atomic_exchange(&written_to, fd) != fd) writes = 0;
    if (atomic_fetch_add(&writes, 1) < 2) count();
}

int fsync(int fd) { step(); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { step(); return syscall(SYS_fdatasync, fd); }
int ftruncate(int fd, off_t length) { step(); return syscall(SYS_ftruncate, fd, length); }
int ftruncate64(int fd, off_t length) { step(); return syscall(SYS_ftruncate, fd, length); }
int rename(const char *from, const char *to) { step(); return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
int unlink(const char *path) { step(); return syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
ssize_t write(int fd, const void *from, size_t size) { if (fd > 2) write_step(fd); return syscall(SYS_write, fd, from, size); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { write_step(fd); return syscall(SYS_pwrite64, fd, from, size, at); }
ssize_t pwrite64(int fd, const void *from, size_t size, off_t at) { write_step(fd); return syscall(SYS_pwrite64, fd, from, size, at); }
