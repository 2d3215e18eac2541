/* A failing disk: while the file BROKEN_WHILE exists, the calls that BROKEN_CALL names ("sync" or "write") fail with
   EIO on every write-ahead log. Preloaded into the program, so that a commit fails as on a broken disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int broken(const char *call, int fd) {
    const char *file = getenv("BROKEN_WHILE"), *calls = getenv("BROKEN_CALL");
    if (!file || !calls || strcmp(calls, call) || access(file, F_OK)) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length >= 4 && !memcmp(path + length - 4, "-wal", 4);
}

#define BREAK(call, fd) if (broken(call, fd)) { errno = EIO; return -1; }

int fsync(int fd) { BREAK("sync", fd) return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { BREAK("sync", fd) return syscall(SYS_fdatasync, fd); }
ssize_t write(int fd, const void *from, size_t size) { BREAK("write", fd) return syscall(SYS_write, fd, from, size); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { BREAK("write", fd) return syscall(SYS_pwrite64, fd, from, size, at); }
ssize_t pwrite64(int fd, const void *from, size_t size, off_t at) { BREAK("write", fd) return syscall(SYS_pwrite64, fd, from, size, at); }
