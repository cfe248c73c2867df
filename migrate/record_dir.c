/* SPDX-License-Identifier: BSD-3-Clause */
#include "record_dir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uuid/uuid.h>

#include "cleanup.h"

#define SERVICE_FILE "service"
#define LOCK_FILE "lock"
#define DISK_FOLDER "disk"

static int
system_error(struct err *e, const char *what)
{
    int rc = -errno;

    return err_set(e, rc, "%s: %s", what, err_text(NULL, rc));
}

struct record_dir_locked *
record_dir_locked(struct record_dir *d)
{
    return &d->locked_;
}

const char *
record_dir_service_id(const struct record_dir *d)
{
    return d->service.id;
}

uint64_t
record_dir_incarnation(const struct record_dir *d)
{
    return d->service.incarnation;
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
        return system_error(e, "open the parent folder");
    }
    rc = d->io->fsync(d->io, fd);
    return rc < 0 ? err_set(e, rc, "fsync of the parent folder: %s", err_text(NULL, rc))
                  : 0;
}

/* A folder that others may write to is refused and not changed: it may be /tmp. */
static int
open_folders(struct record_dir *d, struct err *e)
{
    bool is_new = mkdir(d->path, 0700) == 0;
    struct stat st;
    int rc;

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
        return system_error(e, "create disk/");
    }
    d->disk_fd =
        openat(d->fd, DISK_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d->disk_fd < 0) {
        return system_error(e, "open disk/");
    }
    rc = is_new ? sync_parent(d, e) : 0;
    return rc;
}

/* An OFD lock goes with the open file, not with the process: a second service in the
 * same process is kept out too, and no unrelated close() drops it. */
static int
take_lock(struct record_dir *d, struct err *e)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    d->lock_fd =
        openat(d->fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        return system_error(e, LOCK_FILE);
    }
    if (fcntl(d->lock_fd, F_OFD_SETLK, &lock) == 0) {
        return 0;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return err_set(e, -EBUSY, "another service uses it");
    }
    return system_error(e, "lock");
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
        return err_set(e, rc, "list: %s", err_text(NULL, rc));
    }
    if (rc > 0) {
        return err_set(e, -EBADMSG,
                       "there are records, but the file " SERVICE_FILE " is missing");
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
    int rc = record_store_read(d->fd, SERVICE_FILE, e, &text, &len);

    if (rc == -ENOENT) {
        return make_service(d, e);
    }
    if (rc == 0) {
        rc = record_parse_service(text, len, e, &d->service);
    }
    return rc < 0 ? err_prefix(e, rc, SERVICE_FILE) : 0;
}

static int
begin_incarnation(struct record_dir *d, struct err *e)
{
    AUTO_FREE char *text = NULL;
    bool is_renamed;
    int rc = read_service(d, e);

    if (rc < 0) {
        return rc;
    }
    if (d->service.incarnation >= RECORD_MAX_INCARNATION) {
        return err_set(e, -EOVERFLOW, SERVICE_FILE ": no incarnations are left");
    }
    d->service.incarnation++;
    text = record_format_service(&d->service);
    if (text == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = record_store_replace(d->io, d->fd, SERVICE_FILE, text, e, &is_renamed);
    return rc < 0 ? err_prefix(e, rc, SERVICE_FILE) : 0;
}

static int
open_steps(struct record_dir *d, struct err *e)
{
    int rc = open_folders(d, e);

    if (rc == 0) {
        rc = take_lock(d, e);
    }
    if (rc == 0) {
        rc = record_store_clean(d->io, d->fd, e);
    }
    if (rc == 0) {
        rc = record_store_clean(d->io, d->disk_fd, e);
    }
    if (rc == 0) {
        rc = begin_incarnation(d, e);
    }
    if (rc == 0) {
        rc = record_load_group(d, e);
    }
    return rc == 0 ? record_settle(d, e) : rc;
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
    record_draft_free_committed(d);
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
