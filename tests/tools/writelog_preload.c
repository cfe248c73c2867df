/* SPDX-License-Identifier: BSD-3-Clause */
/* Preloaded into a service: notes in $WRITELOG_FILE when which process wrote to one of
 * the devices that the file names, and when it locked one. It knows nothing of Baton,
 * so what it notes is what happened. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "writelog.h"

#define QEMU_WRITE_BYTE 101

static struct writelog *wl; /* NULL: nothing is noted */

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev2)(int, const struct iovec *, int, off_t, int);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_fcntl)(int, int, ...);

__attribute__((constructor)) static void
start(void)
{
    const char *path = getenv("WRITELOG_FILE");
    struct stat st;
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p;

    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&real_pwritev2 = dlsym(RTLD_NEXT, "pwritev2");
    *(void **)&real_fallocate = dlsym(RTLD_NEXT, "fallocate");
    *(void **)&real_fcntl = dlsym(RTLD_NEXT, "fcntl");
    if (fd < 0 || fstat(fd, &st) < 0) {
        return;
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p != MAP_FAILED && ((struct writelog *)p)->magic == WRITELOG_MAGIC) {
        wl = p;
    }
}

static uint64_t
now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* A slot, begun; NULL when fd is none of the devices. */
static struct writelog_event *
begin(int fd, enum writelog_kind kind, off_t off, size_t len)
{
    struct writelog_event *ev;
    struct stat st;
    uint64_t n, i;

    if (wl == NULL || fstat(fd, &st) < 0) {
        return NULL;
    }
    for (i = 0; i < wl->nr_devices; i++) {
        if (wl->devices[i].dev == st.st_dev && wl->devices[i].ino == st.st_ino) {
            break;
        }
    }
    if (i == wl->nr_devices) {
        return NULL;
    }
    n = atomic_fetch_add_explicit(&wl->nr, 1, memory_order_relaxed);
    if (n >= wl->max) {
        return NULL; /* the judge sees that it is full */
    }
    ev = &wl->events[n];
    ev->pid = getpid();
    ev->kind = (uint8_t)kind;
    ev->device = (uint8_t)i;
    ev->off = (uint64_t)off;
    ev->len = len;
    atomic_store_explicit(&ev->begin_ns, now_ns(), memory_order_release);
    return ev;
}

static void
end(struct writelog_event *ev)
{
    if (ev != NULL) {
        atomic_store_explicit(&ev->end_ns, now_ns(), memory_order_release);
    }
}

ssize_t
pwrite(int fd, const void *buf, size_t len, off_t off)
{
    struct writelog_event *ev = begin(fd, WRITELOG_WRITE, off, len);
    ssize_t n = real_pwrite(fd, buf, len, off);

    end(ev);
    return n;
}

ssize_t
pwritev2(int fd, const struct iovec *iov, int nr, off_t off, int flags)
{
    struct writelog_event *ev =
        begin(fd, WRITELOG_WRITE, off, nr > 0 ? iov[0].iov_len : 0);
    ssize_t n = real_pwritev2(fd, iov, nr, off, flags);

    end(ev);
    return n;
}

int
fallocate(int fd, int mode, off_t off, off_t len)
{
    struct writelog_event *ev = begin(fd, WRITELOG_WRITE, off, (size_t)len);
    int rc = real_fallocate(fd, mode, off, len);

    end(ev);
    return rc;
}

int
fcntl(int fd, int cmd, ...)
{
    struct writelog_event *ev = NULL;
    va_list ap;
    void *arg;
    int rc;

    va_start(ap, cmd);
    arg =
        va_arg(ap, void *); /* an int fits, too, on every Linux ABI that we build on */
    va_end(ap);
    if (cmd == F_OFD_SETLK) {
        const struct flock *fl = arg;

        if (fl->l_type == F_RDLCK && fl->l_start == QEMU_WRITE_BYTE) {
            ev = begin(fd, WRITELOG_LOCK, fl->l_start, 1);
        }
    }
    rc = real_fcntl(fd, cmd, arg);
    if (rc == 0) {
        end(ev); /* a refused one stays without an end */
    }
    return rc;
}
