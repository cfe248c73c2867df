/* SPDX-License-Identifier: BSD-3-Clause */
/* writelog - have two processes ever been writers of one device?
 *
 * check judges the log of writelog_preload.c. A write of process B that begins after a
 * write of process A is legal only if B has locked the device after A's write had ended
 * (for a write that a crash cut off: had begun). So after the first write of a new
 * owner none of the old one is legal, and no order of who owned it when has to be
 * known.
 *
 * watch reads /proc/locks again and again and counts the locks on QEMU's "I write"
 * byte. */
#include "writelog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_EVENTS (UINT64_C(1) << 23) /* 384 MiB of a sparse file at most */
#define MAX_PIDS 4096
#define WATCH_MS 2
#define LOCKS_SIZE (1 << 20)
#define LOOKS 8

static const char usage[] =
    "usage: writelog create LOG DEVICE...   an empty log of writes to these files\n"
    "       writelog check LOG              status 1 when two processes were writers\n"
    "       writelog watch STOP DEVICE...   until the file STOP is there; status 1 "
    "when\n"
    "                                       two had the device locked for writing\n";

static int
fail(const char *what)
{
    (void)fprintf(stderr, "writelog: %s: %s\n", what, strerror(errno));
    return 2;
}

static struct writelog *
map_log(const char *path, int flags)
{
    size_t size = sizeof(struct writelog) + MAX_EVENTS * sizeof(struct writelog_event);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    void *p;

    if (fd < 0 || ((flags & O_CREAT) != 0 && ftruncate(fd, (off_t)size) < 0)) {
        return NULL;
    }
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return p != MAP_FAILED ? p : NULL;
}

static int
create(const char *path, char **devices, int nr)
{
    struct writelog *wl = map_log(path, O_RDWR | O_CREAT | O_EXCL);
    struct stat st;

    if (wl == NULL) {
        return fail(path);
    }
    for (int i = 0; i < nr && i < WRITELOG_MAX_DEVICES; i++) {
        if (stat(devices[i], &st) < 0) {
            return fail(devices[i]);
        }
        wl->devices[i].dev = st.st_dev;
        wl->devices[i].ino = st.st_ino;
        wl->nr_devices++;
    }
    wl->max = MAX_EVENTS;
    wl->magic = WRITELOG_MAGIC;
    return 0;
}

/* What is known of a process and one device. */
struct writer {
    int32_t pid;
    uint64_t locked_ns;     /* the newest lock */
    uint64_t last_write_ns; /* the latest moment of any write so far */
    uint64_t nr_writes;
};

static struct writer writers[WRITELOG_MAX_DEVICES][MAX_PIDS];

static struct writer *
writer_of(const struct writelog_event *ev)
{
    struct writer *w = writers[ev->device];

    for (; w->pid != 0; w++) {
        if (w->pid == ev->pid) {
            return w;
        }
    }
    if (w - writers[ev->device] >= MAX_PIDS - 1) {
        (void)fputs("writelog: too many processes\n", stderr);
        exit(2);
    }
    w->pid = ev->pid;
    return w;
}

static uint64_t
begin_of(const struct writelog_event *ev)
{
    return atomic_load_explicit(&ev->begin_ns, memory_order_acquire);
}

static uint64_t
end_of(const struct writelog_event *ev)
{
    uint64_t ns = atomic_load_explicit(&ev->end_ns, memory_order_acquire);

    return ns != 0 ? ns : begin_of(ev);
}

static int
by_begin(const void *a, const void *b)
{
    uint64_t x = begin_of(*(struct writelog_event *const *)a);
    uint64_t y = begin_of(*(struct writelog_event *const *)b);

    return (x > y) - (x < y);
}

/* One write, in the order of their beginnings. */
static bool
judge_write(const struct writelog_event *ev, uint64_t *switches)
{
    static int32_t last_pid[WRITELOG_MAX_DEVICES];
    struct writer *w = writer_of(ev);

    for (const struct writer *o = writers[ev->device]; o->pid != 0; o++) {
        if (o->pid != w->pid && o->nr_writes > 0 && o->last_write_ns > w->locked_ns) {
            (void)fprintf(
                stderr,
                "writelog: TWO WRITERS: process %d wrote %" PRIu64 " bytes at "
                "%" PRIu64 " at %" PRIu64 " ns; it locked the device at %" PRIu64
                " ns, and process %d wrote until %" PRIu64 " ns\n",
                w->pid, ev->len, ev->off, begin_of(ev), w->locked_ns, o->pid,
                o->last_write_ns);
            return false;
        }
    }
    *switches += last_pid[ev->device] != 0 && last_pid[ev->device] != w->pid;
    last_pid[ev->device] = w->pid;
    w->nr_writes++;
    if (end_of(ev) > w->last_write_ns) {
        w->last_write_ns = end_of(ev);
    }
    return true;
}

static int
judge(struct writelog_event **sorted, uint64_t nr)
{
    uint64_t writes = 0, faults = 0, switches = 0;

    for (uint64_t i = 0; i < nr; i++) {
        const struct writelog_event *ev = sorted[i];

        if (ev->kind == WRITELOG_WRITE) {
            writes++;
            faults += !judge_write(ev, &switches);
        } else if (atomic_load_explicit(&ev->end_ns, memory_order_acquire) != 0) {
            writer_of(ev)->locked_ns = begin_of(ev);
        }
    }
    (void)printf("{\"writes\": %" PRIu64 ", \"changes_of_writer\": %" PRIu64
                 ", \"two_writers\": %" PRIu64 "}\n",
                 writes, switches, faults);
    return faults == 0 ? 0 : 1;
}

static int
check(const char *path)
{
    struct writelog *wl = map_log(path, O_RDWR);
    struct writelog_event **sorted;
    uint64_t nr, n = 0;

    if (wl == NULL || wl->magic != WRITELOG_MAGIC) {
        return fail(path);
    }
    nr = atomic_load_explicit(&wl->nr, memory_order_relaxed);
    if (nr > wl->max) {
        (void)fprintf(stderr, "writelog: %s is full\n", path);
        return 2;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    sorted = calloc(nr + 1, sizeof(*sorted));
    if (sorted == NULL) {
        return fail("memory");
    }
    for (uint64_t i = 0; i < nr; i++) {
        if (begin_of(&wl->events[i]) != 0) { /* else its process died just there */
            sorted[n++] = &wl->events[i];
        }
    }
    qsort(sorted, n, sizeof(struct writelog_event *), by_begin);
    return judge(sorted, n);
}

/* All of /proc/locks, in as few reads as the kernel allows. */
static ssize_t
read_locks(char *buf, size_t size)
{
    int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
    ssize_t n, len = 0;

    while (fd >= 0 && (n = read(fd, buf + len, size - 1 - (size_t)len)) > 0) {
        len += n;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    buf[len] = '\0';
    return len;
}

/* How many hold the "I write" byte of the file that key, " MAJOR:MINOR:INODE ", names?
 */
static unsigned
count_locks(const char *locks, const char *key)
{
    unsigned n = 0;

    for (const char *p = locks; (p = strstr(p, key)) != NULL; p++) {
        char *end;
        long first = strtol(p + strlen(key), &end, 10);

        n += first <= 101 &&
             (strncmp(end, " EOF", 4) == 0 || strtol(end, NULL, 10) >= 101);
    }
    return n;
}

/* The kernel hands /proc/locks out by the page, and what others lock meanwhile shifts
 * the lines: one may be seen twice. And who locks takes all bytes, then looks for
 * others, then lets go. So an owner is what is there in every one of some looks in a
 * row. */
static bool
are_two(char *locks, const char *key)
{
    for (unsigned look = 0; look < LOOKS; look++) {
        if (count_locks(locks, key) <= 1) {
            return false;
        }
        (void)read_locks(locks, LOCKS_SIZE);
    }
    return count_locks(locks, key) > 1;
}

static int
watch(const char *stop, char **devices, int nr)
{
    static char locks[LOCKS_SIZE];
    char keys[WRITELOG_MAX_DEVICES][64];
    uint64_t samples = 0, faults = 0;
    struct stat st;

    for (int i = 0; i < nr && i < WRITELOG_MAX_DEVICES; i++) {
        if (stat(devices[i], &st) < 0) {
            return fail(devices[i]);
        }
        (void)snprintf(keys[i], sizeof(keys[i]), " %02x:%02x:%ju ", major(st.st_dev),
                       minor(st.st_dev), (uintmax_t)st.st_ino);
    }
    while (access(stop, F_OK) < 0) {
        (void)read_locks(locks, sizeof(locks));
        samples++;
        for (int i = 0; i < nr && i < WRITELOG_MAX_DEVICES; i++) {
            if (are_two(locks, keys[i])) {
                (void)fprintf(stderr, "writelog: TWO OWNERS of %s\n", devices[i]);
                faults++;
            }
        }
        (void)poll(NULL, 0, WATCH_MS);
    }
    (void)printf("{\"samples\": %" PRIu64 ", \"two_owners\": %" PRIu64 "}\n", samples,
                 faults);
    return faults == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "create") == 0) {
        return create(argv[2], argv + 3, argc - 3);
    }
    if (argc == 3 && strcmp(argv[1], "check") == 0) {
        return check(argv[2]);
    }
    if (argc >= 4 && strcmp(argv[1], "watch") == 0) {
        return watch(argv[2], argv + 3, argc - 3);
    }
    (void)fputs(usage, stderr);
    return 2;
}
