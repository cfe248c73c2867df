/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading and settling; record_draft.c commits.
 *
 * One record is committed by the rename of its own file. Several are committed by the
 * rename of group.json, and stay there and in memory ("pending") until they are spread
 * over their own files: first all of these durably, then group.json goes.
 *
 * The removal of group.json may get lost in a power cut, after later commits. It then
 * comes back old. Therefore every file carries a stamp that grows with every commit,
 * and a group is spread only over files with an older one. */
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "record_dir.h"

/* The disk's own file. */
static int
read_file(struct record_dir *d, const char *name, struct err *e,
          struct record *ret_record, uint64_t *ret_stamp)
{
    AUTO_FREE char *text = NULL;
    char file[RECORD_FILE_NAME_SIZE];
    struct record r = {.name = ""};
    uint64_t stamp = 0;
    size_t len;
    int rc;

    record_dir_file_name(name, file);
    rc = record_store_read(d->disk_fd, file, e, &text, &len);
    if (rc == 0) {
        rc = record_parse_disk(text, len, e, &r, &stamp);
    }
    if (rc == 0 && strcmp(r.name, name) != 0) {
        rc = err_set(e, -EBADMSG, "it is about disk %s", r.name);
    }
    if (rc < 0) {
        return err_prefix(e, rc, "state directory %s: disk/%s", d->path, file);
    }
    *ret_record = r;
    *ret_stamp = stamp;
    return 0;
}

static int
write_file(struct record_dir *d, const struct record *r, uint64_t stamp, struct err *e)
{
    AUTO_FREE char *text = record_format_disk(r, stamp);
    char file[RECORD_FILE_NAME_SIZE];
    int rc;

    if (text == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    record_dir_file_name(r->name, file);
    rc = record_store_put(d->io, d->disk_fd, file, text, e);
    return rc < 0 ? err_prefix(e, rc, "state directory %s: disk/%s", d->path, file) : 0;
}

int
record_load_group(struct record_dir *d, struct err *e)
{
    LK_GUARD(&d->lock);
    AUTO_FREE char *text = NULL;
    AUTO_FREE struct record *records = NULL;
    unsigned nr;
    uint64_t stamp;
    size_t len;
    int rc = record_store_read(d->fd, RECORD_GROUP_FILE, e, &text, &len);

    if (rc < 0) {
        return rc == -ENOENT ? 0 : err_prefix(e, rc, RECORD_GROUP_FILE);
    }
    records = calloc(GROUP_MAX_DISKS, sizeof *records);
    if (records == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = record_parse_group(text, len, e, records, &nr, &stamp);
    if (rc < 0) {
        return err_prefix(e, rc, RECORD_GROUP_FILE);
    }
    record_dir_locked(d)->nr_pending = nr;
    record_dir_locked(d)->pending = TAKE(records);
    record_dir_locked(d)->pending_stamp = stamp;
    return 0;
}

static int spread_locked(struct record_dir *d, struct err *e) LK_REQUIRES(d->lock);

static int
spread_locked(struct record_dir *d, struct err *e)
{
    struct record_dir_locked *l = record_dir_locked(d);
    int rc;

    for (unsigned i = 0; i < l->nr_pending; i++) {
        struct record there;
        uint64_t stamp = 0;

        rc = read_file(d, l->pending[i].name, e, &there, &stamp);
        if (rc < 0 && rc != -ENOENT) {
            return rc;
        }
        if (rc == 0 && stamp >= l->pending_stamp) {
            continue;
        }
        rc = write_file(d, &l->pending[i], l->pending_stamp, e);
        if (rc == 0) {
            rc = BREAKPOINT("group-spread");
        }
        if (rc < 0) {
            return rc;
        }
    }
    /* Once for all: until then group.json has their word. Also for files that an
     * earlier try has renamed. */
    rc = d->io->fsync(d->io, d->disk_fd);
    if (rc < 0) {
        return err_set(e, rc, "state directory %s: cannot fsync disk/: %s", d->path,
                       err_text(NULL, rc));
    }
    return 0;
}

int
record_settle_locked(struct record_dir *d, struct err *e)
{
    struct record_dir_locked *l = record_dir_locked(d);
    int rc;

    if (l->nr_pending == 0) {
        return 0;
    }
    rc = spread_locked(d, e);
    if (rc == 0) {
        rc = BREAKPOINT("group-settled");
    }
    if (rc < 0) {
        return rc;
    }
    rc = d->io->unlink(d->io, d->fd, RECORD_GROUP_FILE);
    if (rc < 0) {
        return err_set(e, rc,
                       "state directory %s: cannot remove " RECORD_GROUP_FILE ": %s",
                       d->path, err_text(NULL, rc));
    }
    free(l->pending);
    l->pending = NULL;
    l->nr_pending = 0;
    (void)d->io->fsync(d->io, d->fd); /* should it come back, its stamp is too old */
    return 0;
}

int
record_settle(struct record_dir *d, struct err *e)
{
    int rc;

    lk_acquire(&d->lock);
    rc = record_settle_locked(d, e);
    lk_release(&d->lock);
    record_dir_free_committed(d);
    return rc;
}

int
record_load(struct record_dir *d, const char *name, struct err *e,
            struct record *ret_record)
{
    LK_GUARD(&d->lock);
    const struct record_dir_locked *l = record_dir_locked(d);
    uint64_t stamp;

    if (!name_is_valid(name)) {
        return err_set(e, -EINVAL, "\"%.80s\" is not a valid disk name", name);
    }
    for (unsigned i = 0; i < l->nr_pending; i++) {
        if (strcmp(l->pending[i].name, name) == 0) {
            *ret_record = l->pending[i];
            return 0;
        }
    }
    return read_file(d, name, e, ret_record, &stamp);
}

uint64_t
record_time(struct record_dir *d, const char *name)
{
    char file[RECORD_FILE_NAME_SIZE];
    struct stat st;

    record_dir_file_name(name, file);
    if (fstatat(d->disk_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
        fstatat(d->fd, RECORD_GROUP_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return 0;
    }
    return st.st_mtim.tv_sec > 0 ? (uint64_t)st.st_mtim.tv_sec : 0;
}
