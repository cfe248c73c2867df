/* SPDX-License-Identifier: BSD-3-Clause */
/* Committing: a draft, and its rename. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "record_dir.h"

#define STAMP_SERIAL_BITS 32

static int
check_records(const struct record *records, unsigned nr, struct err *e)
{
    if (nr == 0 || nr > GROUP_MAX_DISKS) {
        return err_set(e, -EINVAL, "%u records at once; 1 to %d are possible", nr,
                       GROUP_MAX_DISKS);
    }
    for (unsigned i = 0; i < nr; i++) {
        int rc = record_check(&records[i], e);

        if (rc < 0) {
            return rc;
        }
        for (unsigned j = 0; j < i; j++) {
            if (strcmp(records[i].name, records[j].name) == 0) {
                return err_set(e, -EINVAL, "disk %s is named twice", records[i].name);
            }
        }
    }
    return 0;
}

/* Where a draft is, and what it becomes. */
struct place {
    int dir_fd;
    char tmp[NAME_MAX + 1];
    char name[RECORD_FILE_NAME_SIZE];
    const char *folder; /* for messages */
};

static struct place
place_of(const struct record_dir *d, const struct record_draft *dr)
{
    const bool is_group = dr->nr > 1;
    struct place p = {.dir_fd = is_group ? d->fd : d->disk_fd,
                      .folder = is_group ? "" : "disk/"};

    if (is_group) {
        (void)snprintf(p.name, sizeof p.name, RECORD_GROUP_FILE);
    } else {
        record_dir_file_name(dr->records[0].name, p.name);
    }
    (void)snprintf(p.tmp, sizeof p.tmp, RECORD_STORE_TMP "%" PRIx64, dr->stamp);
    return p;
}

static char *
format(const struct record *records, unsigned nr, uint64_t stamp)
{
    return nr == 1 ? record_format_disk(&records[0], stamp)
                   : record_format_group(records, nr, stamp);
}

static int
restamp_locked(struct record_dir *d, struct record_draft *dr, struct err *e)
    LK_REQUIRES(d->lock)
{
    uint64_t serial = ++record_dir_locked(d)->serial;

    assert(serial < UINT64_C(1) << STAMP_SERIAL_BITS);
    dr->stamp = d->service.incarnation << STAMP_SERIAL_BITS | serial;
    dr->is_stale = false;
    free(dr->text);
    dr->text = format(dr->records, dr->nr, dr->stamp);
    return dr->text != NULL
               ? 0
               : err_set(e, -ENOMEM, "state directory %s: out of memory", d->path);
}

static int
write_draft(struct record_dir *d, struct record_draft *dr, struct err *e)
{
    struct place p = place_of(d, dr);
    int rc = record_store_write_tmp(d->io, p.dir_fd, p.tmp, dr->text, e);

    if (dr->replaced_fd < 0) {
        dr->replaced_fd = openat(p.dir_fd, p.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    return rc < 0 ? err_prefix(e, rc, "state directory %s: %s%s", d->path, p.folder,
                               p.name)
                  : 0;
}

static int
alloc_draft(const struct record *records, unsigned nr, struct record_draft **ret_draft)
{
    struct record_draft *dr = calloc(1, sizeof *dr);

    if (dr == NULL) {
        return -ENOMEM;
    }
    dr->replaced_fd = -1;
    dr->nr = nr;
    dr->records = calloc(nr, sizeof *dr->records);
    if (dr->records == NULL) {
        record_dir_free_draft(dr);
        return -ENOMEM;
    }
    memcpy(dr->records, records, nr * sizeof *records);
    *ret_draft = dr;
    return 0;
}

/* From now on a commit of others makes it stale. */
static int
stamp_draft(struct record_dir *d, struct record_draft *dr, struct err *e)
{
    LK_GUARD(&d->lock);
    int rc = record_dir_begin_locked(d, e);

    if (rc < 0) {
        return rc;
    }
    rc = restamp_locked(d, dr, e);
    if (rc < 0) {
        return rc;
    }
    LIST_INSERT_HEAD(&record_dir_locked(d)->drafts, dr, link);
    return 0;
}

int
record_draft_new(struct record_dir *d, const struct record *records, unsigned nr,
                 struct err *e, struct record_draft **ret_draft)
{
    struct record_draft *dr;
    int rc = check_records(records, nr, e);

    if (rc < 0) {
        return rc;
    }
    if (alloc_draft(records, nr, &dr) < 0) {
        return err_set(e, -ENOMEM, "state directory %s: out of memory", d->path);
    }
    rc = stamp_draft(d, dr, e);
    if (rc < 0) {
        record_dir_free_draft(dr);
        return rc;
    }
    rc = write_draft(d, dr, e);
    if (rc < 0) {
        lk_acquire(&d->lock);
        LIST_REMOVE(dr, link);
        lk_release(&d->lock);
        record_dir_free_draft(dr);
        return rc;
    }
    *ret_draft = dr;
    return 0;
}

bool
record_draft_is_of(const struct record_draft *dr, const struct record *records,
                   unsigned nr)
{
    AUTO_FREE char *text = nr == dr->nr ? format(records, nr, dr->stamp) : NULL;

    return text != NULL && strcmp(text, dr->text) == 0;
}

static bool
is_about(const struct record_draft *a, const struct record_draft *b)
{
    for (unsigned i = 0; i < a->nr; i++) {
        for (unsigned j = 0; j < b->nr; j++) {
            if (strcmp(a->records[i].name, b->records[j].name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* What dr says is the case now. */
static void
committed_locked(struct record_dir *d, struct record_draft *dr) LK_REQUIRES(d->lock)
{
    struct record_dir_locked *l = record_dir_locked(d);
    struct record_draft *other;

    LIST_FOREACH(other, &l->drafts, link)
    {
        other->is_stale = other->is_stale || is_about(other, dr);
    }
    if (dr->nr > 1) {
        assert(l->pending == NULL); /* settled before */
        l->pending = TAKE(dr->records);
        l->nr_pending = dr->nr;
        l->pending_stamp = dr->stamp;
    }
}

static void
unlink_draft(struct record_dir *d, const struct record_draft *dr)
{
    struct place p = place_of(d, dr);

    (void)d->io->unlink(d->io, p.dir_fd, p.tmp); /* the next open removes it, too */
}

/* Does group.json, which is not spread yet, stand in the way? Only one group can wait,
 * and what it says of a disk wins. */
static bool
needs_settling_locked(struct record_dir *d, const struct record_draft *dr)
    LK_REQUIRES(d->lock)
{
    const struct record_dir_locked *l = record_dir_locked(d);
    bool is_of_it = dr->nr > 1;

    for (unsigned i = 0; i < l->nr_pending && !is_of_it; i++) {
        is_of_it = strcmp(l->pending[i].name, dr->records[0].name) == 0;
    }
    return is_of_it;
}

static int
renew_locked(struct record_dir *d, struct record_draft *dr, struct err *e)
    LK_REQUIRES(d->lock)
{
    int rc;

    unlink_draft(d, dr);
    rc = restamp_locked(d, dr, e);
    return rc == 0 ? write_draft(d, dr, e) : rc;
}

/* What stands in the way of its rename is done: group.json is spread, a stale draft is
 * written anew. After an error its temporary file is gone. */
static int
make_ready_locked(struct record_dir *d, struct record_draft *dr, struct err *e)
    LK_REQUIRES(d->lock)
{
    int rc = needs_settling_locked(d, dr) ? record_settle_locked(d, e) : 0;

    if (rc < 0) {
        unlink_draft(d, dr);
        return rc;
    }
    return dr->is_stale ? renew_locked(d, dr, e) : 0;
}

static int
rename_draft(struct record_dir *d, const struct record_draft *dr, struct err *e,
             bool *ret_is_renamed)
{
    struct place p = place_of(d, dr);
    int rc = record_store_rename_tmp(d->io, p.dir_fd, p.tmp, p.name, e, ret_is_renamed);

    return rc < 0 ? err_prefix(e, rc, "state directory %s: %s%s", d->path, p.folder,
                               p.name)
                  : 0;
}

int
record_draft_commit(struct record_dir *d, struct record_draft *dr, struct err *e,
                    bool *ret_is_committed)
{
    LK_GUARD(&d->lock);
    int rc;

    *ret_is_committed = false;
    LIST_REMOVE(dr, link);
    rc = make_ready_locked(d, dr, e);
    if (rc == 0) {
        rc = rename_draft(d, dr, e, ret_is_committed);
    }
    if (!*ret_is_committed) {
        record_dir_free_draft(dr);
        return rc;
    }
    committed_locked(d, dr);
    LIST_INSERT_HEAD(&record_dir_locked(d)->committed, dr, link);
    return rc < 0 ? -EIO : 0;
}

void
record_draft_drop(struct record_dir *d, struct record_draft *dr)
{
    LK_GUARD(&d->lock);

    if (dr != NULL) {
        LIST_REMOVE(dr, link);
        unlink_draft(d, dr);
        record_dir_free_draft(dr);
    }
}

int
record_commit(struct record_dir *d, const struct record *records, unsigned nr,
              struct err *e, bool *ret_is_committed)
{
    struct record_draft *dr = NULL;
    int rc;

    *ret_is_committed = false;
    rc = record_draft_new(d, records, nr, e, &dr);
    if (rc < 0) {
        return rc;
    }
    rc = record_draft_commit(d, dr, e, ret_is_committed);
    record_dir_free_committed(d);
    return rc;
}
