/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing a state directory, and the incarnation that each open has. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uuid/uuid.h>

#include "cleanup.h"
#include "record_dir.h"

#define LOCK_FILE "lock"
#define DISK_FOLDER "disk"
/* Incarnations are seconds since 2025, or one more than the last: each is higher than
 * that of any life before, also of one that could not write it down. */
#define WALL_START_S UINT64_C(1735689600)
#define CLOCK_TRIES 150 /* 3 s: a start that is not written down waits for a second */
#define WALL_MOST (RECORD_MAX_INCARNATION / UINT64_C(2))

static int
system_error(struct err *e, const char *what)
{
    int rc = -errno;

    return err_set(e, rc, "%s: %s", what, err_text(NULL, rc));
}

/* A new folder's own name must be as durable as what will be in it. */
static int
sync_parent(struct record_dir *d, struct err *e)
{
    AUTO_FREE char *copy = strdup(d->path);
    AUTO_FD int fd = -1;
    int rc;

    if (copy == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): it changes only the copy */
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return system_error(e, "cannot open the parent folder");
    }
    rc = d->io->fsync(d->io, fd);
    return rc < 0 ? err_set(e, rc, "cannot fsync the parent folder: %s",
                            err_text(NULL, rc))
                  : 0;
}

/* A folder that others may write to is refused and not changed: it may be /tmp. */
static int
open_folders(struct record_dir *d, struct err *e)
{
    bool is_new = mkdir(d->path, 0700) == 0;
    struct stat st;

    if (!is_new && errno != EEXIST) {
        return system_error(e, "create");
    }
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0 || fstat(d->fd, &st) < 0) {
        return system_error(e, "open");
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return err_set(e, -EPERM, "others may write to it (mode %04o, should be 0700)",
                       (unsigned)st.st_mode & 07777);
    }
    if (mkdirat(d->fd, DISK_FOLDER, 0700) < 0 && errno != EEXIST) {
        return system_error(e, "cannot create disk/");
    }
    d->disk_fd =
        openat(d->fd, DISK_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d->disk_fd < 0) {
        return system_error(e, "cannot open disk/");
    }
    return is_new ? sync_parent(d, e) : 0;
}

/* Without the right to write there is only a read lock, which keeps writers out, and
 * two of those apart by flock(). */
static int
lock_readonly(struct record_dir *d)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    d->lock_fd = openat(d->fd, LOCK_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (d->lock_fd < 0 || fcntl(d->lock_fd, F_OFD_SETLK, &lock) < 0 ||
        flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        return -errno;
    }
    return 0;
}

/* An OFD lock goes with the open file, not with the process: a second service in the
 * same process is kept out too, and no unrelated close() drops it. */
static int
take_lock(struct record_dir *d, struct err *e)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int rc = 0;

    d->lock_fd =
        openat(d->fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        rc = errno == EROFS ? lock_readonly(d) : -errno;
    } else if (fcntl(d->lock_fd, F_OFD_SETLK, &lock) < 0) {
        rc = -errno;
    }
    if (rc == -EAGAIN || rc == -EACCES) {
        return err_set(e, -EBUSY, "another service uses it");
    }
    return rc < 0 ? err_set(e, rc, LOCK_FILE ": %s", err_text(NULL, rc)) : 0;
}

/* A directory that has records but has lost the name of its service was tampered with:
 * under a new name the peers would not know us, and fence nobody. */
static int
make_service(struct record_dir *d, struct err *e)
{
    int rc = record_store_has(d->disk_fd, ".json");
    uuid_t id;

    if (rc == 0) {
        rc = record_store_has(d->fd, RECORD_GROUP_FILE);
    }
    if (rc < 0) {
        return err_set(e, rc, "cannot list the records: %s", err_text(NULL, rc));
    }
    if (rc > 0) {
        return err_set(e, -EBADMSG,
                       "there are records, but the file " RECORD_SERVICE_FILE
                       " is missing");
    }
    uuid_generate(id);
    uuid_unparse_lower(id, d->service.id);
    d->service.incarnation = 0;
    return 0;
}

static int
read_service(struct record_dir *d, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t len;
    int rc = record_store_read(d->fd, RECORD_SERVICE_FILE, e, &text, &len);

    if (rc == -ENOENT) {
        return make_service(d, e);
    }
    if (rc == 0) {
        rc = record_parse_service(text, len, e, &d->service);
    }
    return rc < 0 ? err_prefix(e, rc, RECORD_SERVICE_FILE) : 0;
}

static uint64_t
clock_incarnation(struct record_dir *d)
{
    uint64_t now_s = d->io->wall_s(d->io);

    now_s = now_s > WALL_START_S ? now_s - WALL_START_S : 0;
    return now_s < WALL_MOST ? now_s : 0; /* a clock that is that wrong tells nothing */
}

/* Wait until the clock is past that incarnation. */
static int
await_clock(struct record_dir *d, uint64_t incarnation)
{
    const struct timespec step = {.tv_nsec = 20 * 1000 * 1000};

    for (unsigned i = 0; i < CLOCK_TRIES; i++) {
        if (clock_incarnation(d) > incarnation) {
            return 0;
        }
        (void)nanosleep(&step, NULL); /* either way: look again */
    }
    return -ETIME;
}

/* Nothing can be written: the next life will not know of this one. So it has to find a
 * later clock than the one that this one is numbered by. */
static int
go_unwritten(struct record_dir *d, uint64_t before, const char *why, struct err *e)
{
    if (before == 0) {
        return err_set(e, -EROFS, "%s, and no service has used this folder before",
                       why);
    }
    if (await_clock(d, before) == 0) {
        d->service.incarnation = clock_incarnation(d);
        if (await_clock(d, d->service.incarnation) == 0) {
            lk_acquire(&d->lock);
            (void)snprintf(record_dir_locked(d)->unwritten, RECORD_UNWRITTEN_LEN,
                           "%.255s", why);
            lk_release(&d->lock);
            return 0;
        }
    }
    return err_set(
        e, -EROFS,
        "%s, and this machine's clock is behind what was written there "
        "before, so that a start cannot be told from earlier ones: make room "
        "or set the clock",
        why);
}

static int
begin_incarnation(struct record_dir *d, struct err *e)
{
    uint64_t before, now;
    struct err why = {{0}};
    int rc = read_service(d, e);

    if (rc < 0) {
        return rc;
    }
    before = d->service.incarnation;
    now = clock_incarnation(d);
    if (before >= RECORD_MAX_INCARNATION) {
        return err_set(e, -EOVERFLOW, RECORD_SERVICE_FILE ": no incarnations are left");
    }
    d->service.incarnation = now > before ? now : before + 1;
    rc = record_dir_write_service(d, &why);
    if (rc < 0 && record_store_is_unwritable(rc)) {
        return go_unwritten(d, before, why.msg, e);
    }
    d->last = before;
    return rc < 0 ? err_set(e, rc, "%s", why.msg) : 0;
}

/* What may as well be done later. */
static int
unless_unwritable(int rc)
{
    return record_store_is_unwritable(rc) ? 0 : rc;
}

static int
open_steps(struct record_dir *d, struct err *e)
{
    int rc = open_folders(d, e);

    if (rc < 0) {
        return rc;
    }
    rc = take_lock(d, e);
    if (rc < 0) {
        return rc;
    }
    rc = unless_unwritable(record_store_clean(d->io, d->fd, e));
    if (rc < 0) {
        return rc;
    }
    rc = unless_unwritable(record_store_clean(d->io, d->disk_fd, e));
    if (rc < 0) {
        return rc;
    }
    rc = begin_incarnation(d, e);
    if (rc < 0) {
        return rc;
    }
    rc = record_load_group(d, e);
    if (rc < 0) {
        return rc;
    }
    return unless_unwritable(record_settle(d, e));
}

int
record_dir_open_with(const char *path, struct record_io *io, struct err *e,
                     struct record_dir **ret_dir)
{
    struct record_dir *d = calloc(1, sizeof *d);
    int rc;

    if (d == NULL) {
        return err_set(e, -ENOMEM, "state directory %s: out of memory", path);
    }
    d->io = io;
    d->fd = d->disk_fd = d->lock_fd = -1;
    lk_init(&d->lock);
    d->path = strdup(path);
    rc = d->path != NULL ? open_steps(d, e) : err_set(e, -ENOMEM, "out of memory");
    if (rc < 0) {
        record_dir_close(d);
        return err_prefix(e, rc, "state directory %s", path);
    }
    *ret_dir = d;
    return 0;
}

int
record_dir_open(const char *path, struct err *e, struct record_dir **ret_dir)
{
    return record_dir_open_with(path, &record_io_system, e, ret_dir);
}

static void
close_if_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd); /* everything that counts was fsynced */
    }
}

void
record_dir_close(struct record_dir *d)
{
    if (d == NULL) {
        return;
    }
    record_dir_free_committed(d);
    lk_acquire(&d->lock);
    free(record_dir_locked(d)->pending);
    lk_release(&d->lock);
    close_if_open(d->disk_fd);
    close_if_open(d->fd);
    close_if_open(d->lock_fd); /* last: lets the next service in */
    lk_done(&d->lock);
    free(d->path);
    free(d);
}
