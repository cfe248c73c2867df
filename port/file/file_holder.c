/* SPDX-License-Identifier: BSD-3-Clause */
/* An open file description lock belongs to no process: F_OFD_GETLK and /proc/locks say
 * pid -1. So the holder is searched: a process that has the file open, by a descriptor
 * whose /proc/PID/fdinfo lists a lock that covers the byte. */
#include "file_holder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "file_io.h"

struct wanted {
    dev_t dev;
    ino_t ino;
    off_t byte;
    bool is_write; /* found: what kind of lock it was */
};

static void
cleanup_dir(DIR **d)
{
    if (*d != NULL) {
        (void)closedir(*d); /* only read from */
    }
}

static bool
is_number(const char *s)
{
    return isdigit((unsigned char)s[0]);
}

/* "lock:\t1: OFDLCK  ADVISORY  READ -1 08:01:1234 100 100"; the end may be "EOF". */
static bool
line_covers(const char *line, struct wanted *w)
{
    char kind[16], start_text[24], end_text[24];
    long long start, end;

    if (sscanf(line, "lock: %*s %*s %*s %15s %*s %*s %23s %23s", kind, start_text,
               end_text) != 3) {
        return false;
    }
    start = strtoll(start_text, NULL, 10);
    end = strcmp(end_text, "EOF") == 0 ? LLONG_MAX : strtoll(end_text, NULL, 10);
    w->is_write = strcmp(kind, "WRITE") == 0;
    return start <= w->byte && w->byte <= end;
}

static bool
descriptor_holds(const char *pid, const char *fd, struct wanted *w)
{
    char name[PATH_MAX], line[256];
    struct statx st;

    (void)snprintf(name, sizeof name, "/proc/%s/fd/%s", pid, fd);
    /* Without asking the file system: somebody else's may not answer (FUSE, NFS). */
    if (statx(AT_FDCWD, name, AT_STATX_DONT_SYNC, STATX_INO, &st) < 0 ||
        makedev(st.stx_dev_major, st.stx_dev_minor) != w->dev || st.stx_ino != w->ino) {
        return false;
    }
    (void)snprintf(name, sizeof name, "/proc/%s/fdinfo/%s", pid, fd);
    AUTO_FILE FILE *info = fopen(name, "re");
    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        if (line_covers(line, w)) {
            return true;
        }
    }
    return false;
}

static bool
process_holds(const char *pid, struct wanted *w)
{
    char name[PATH_MAX];
    struct dirent *entry;

    (void)snprintf(name, sizeof name, "/proc/%s/fd", pid);
    DIR *fds __attribute__((cleanup(cleanup_dir))) = opendir(name);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
    while (fds != NULL && (entry = readdir(fds)) != NULL) {
        if (is_number(entry->d_name) && descriptor_holds(pid, entry->d_name, w)) {
            return true;
        }
    }
    return false;
}

/* The file name of the program; the kernel's short name if that cannot be read. */
static void
program_of(const char *pid, char *program, size_t size)
{
    char name[PATH_MAX], target[PATH_MAX];
    ssize_t n;

    (void)snprintf(name, sizeof name, "/proc/%s/exe", pid);
    n = readlink(name, target, sizeof target - 1);
    if (n > 0) {
        target[n] = '\0';
        (void)snprintf(program, size, "%s", strrchr(target, '/') + 1);
        return;
    }
    (void)snprintf(name, sizeof name, "/proc/%s/comm", pid);
    if (file_io_read_line(name, program, size) == 0) {
        (void)snprintf(program, size, "a process");
    }
}

void
file_holder_name(int fd, off_t byte, char who[FILE_HOLDER_MAX])
{
    DIR *proc __attribute__((cleanup(cleanup_dir))) = opendir("/proc");
    struct wanted w = {.byte = byte};
    struct dirent *entry;
    char program[128];
    struct stat st;

    (void)snprintf(who, FILE_HOLDER_MAX,
                   "a process that cannot be seen from here (on another host, or in "
                   "another namespace), which holds a lock on byte %lld",
                   (long long)byte);
    if (proc == NULL || fstat(fd, &st) < 0) {
        return;
    }
    w.dev = st.st_dev;
    w.ino = st.st_ino;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
    while ((entry = readdir(proc)) != NULL) {
        if (is_number(entry->d_name) && process_holds(entry->d_name, &w)) {
            program_of(entry->d_name, program, sizeof program);
            (void)snprintf(who, FILE_HOLDER_MAX,
                           "%s (pid %.16s), which holds a %s lock on byte %lld",
                           program, entry->d_name, w.is_write ? "write" : "read",
                           (long long)byte);
            return;
        }
    }
}
