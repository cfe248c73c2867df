/* SPDX-License-Identifier: BSD-3-Clause */
#include "record_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

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

uint64_t
record_dir_last_incarnation(const struct record_dir *d)
{
    return d->last;
}

bool
record_dir_is_unwritten(struct record_dir *d, char *buf)
{
    LK_GUARD(&d->lock);

    memcpy(buf, record_dir_locked(d)->unwritten, RECORD_UNWRITTEN_LEN);
    return buf[0] != '\0';
}

int
record_dir_write_service(struct record_dir *d, struct err *e)
{
    AUTO_FREE char *text = record_format_service(&d->service);
    bool is_renamed;
    int rc;

    if (text == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = record_store_replace(d->io, d->fd, RECORD_SERVICE_FILE, text, e, &is_renamed);
    return rc < 0 ? err_prefix(e, rc, RECORD_SERVICE_FILE) : 0;
}

int
record_dir_begin_locked(struct record_dir *d, struct err *e)
{
    int rc;

    if (record_dir_locked(d)->unwritten[0] == '\0') {
        return 0;
    }
    rc = record_dir_write_service(d, e);
    if (rc < 0) {
        return err_prefix(e, rc, "state directory %s", d->path);
    }
    record_dir_locked(d)->unwritten[0] = '\0';
    return 0;
}

void
record_dir_file_name(const char *name, char *buf)
{
    (void)snprintf(buf, RECORD_FILE_NAME_SIZE, "%s.json", name); /* fits a valid name */
}

void
record_dir_free_draft(struct record_draft *dr)
{
    if (dr->replaced_fd >= 0) {
        (void)close(dr->replaced_fd); /* O_PATH: nothing was written */
    }
    free(dr->records);
    free(dr->text);
    free(dr);
}

void
record_dir_free_committed(struct record_dir *d)
{
    LIST_HEAD(, record_draft) list = LIST_HEAD_INITIALIZER(list);
    struct record_draft *dr;

    lk_acquire(&d->lock);
    while ((dr = LIST_FIRST(&record_dir_locked(d)->committed)) != NULL) {
        LIST_REMOVE(dr, link);
        LIST_INSERT_HEAD(&list, dr, link);
    }
    lk_release(&d->lock);
    while ((dr = LIST_FIRST(&list)) != NULL) { /* others may commit meanwhile */
        LIST_REMOVE(dr, link);
        record_dir_free_draft(dr);
    }
}
