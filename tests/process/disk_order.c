/* Notes each call that changes a file's contents or name, or that waits for the disk, in the file TRACE, one a line.
   Preloaded into the program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static void note(const char *what, const char *path, const char *to) {
    char line[9000];
    const char *trace = getenv("TRACE");
    int length = snprintf(line, sizeof line, to ? "%s\t%s\t%s\n" : "%s\t%s\n", what, path, to);
    int fd = trace ? open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    syscall(SYS_write, fd, line, length);
    close(fd);
}

static void note_fd(const char *what, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/') return;
    path[length] = 0;
    note(what, path, NULL);
}

int fsync(int fd) { note_fd("sync", fd); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { note_fd("sync", fd); return syscall(SYS_fdatasync, fd); }
int rename(const char *from, const char *to) { note("rename", from, to); return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
ssize_t write(int fd, const void *from, size_t size) { if (fd > 2) note_fd("write", fd); return syscall(SYS_write, fd, from, size); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { note_fd("write", fd); return syscall(SYS_pwrite64, fd, from, size, at); }
ssize_t pwrite64(int fd, const void *from, size_t size, off_t at) { note_fd("write", fd); return syscall(SYS_pwrite64, fd, from, size, at); }
