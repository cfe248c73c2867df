/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "disk_failed.h"
#include "identity.h"
#include "log.h"
#include "port_file.h"
#include "record_device.h"
#include "service.h"

static void
name_of(struct disk *d, struct port *port, char *buf)
{
    buf[0] = '\0';
    if (!d->cfg->is_nbd) {
        (void)port_file_lasting(port, buf, IDENTITY_DEVICE_LEN); /* "": none */
    }
}

static size_t
kind_len(const char *name)
{
    return strcspn(name, ":");
}

/* One system may give one device a WWN, and a later one another kind of name; but a
 * file is no block device. */
static bool
are_comparable(const char *a, const char *b)
{
    static const char inode[] = "inode:";
    bool is_file_a = strncmp(a, inode, strlen(inode)) == 0;
    bool is_file_b = strncmp(b, inode, strlen(inode)) == 0;

    return a[0] != '\0' && b[0] != '\0' &&
           (is_file_a != is_file_b ||
            (kind_len(a) == kind_len(b) && strncmp(a, b, kind_len(a)) == 0));
}

/* What was remembered speaks of the last ownership here, if that was the last one. */
static bool
is_of(const struct record_device *dev, const struct record *rec)
{
    return dev->epoch != 0 && strcmp(dev->uuid, rec->uuid) == 0 &&
           (dev->epoch == rec->epoch || dev->epoch + 1 == rec->epoch);
}

/* Of a device that was closed in order, and not opened here since. */
static bool
has_valid_samples(struct disk *d, const struct record_device *dev)
{
    const struct record_dir *records = d->service->records;

    return dev->has_samples && dev->closed != 0 &&
           (dev->closed == record_dir_last_incarnation(records) ||
            dev->closed == record_dir_incarnation(records)); /* see device_keep() */
}

/* The samples of the time since when nobody can have written; NULL when there are none.
 */
static const char (*samples_of(struct disk *d, const struct record *rec,
                               const struct record_device *dev))[IDENTITY_HASH_LEN]
{
    if (!is_of(dev,
               rec)) { /* parked again: a next owner may have served, and forgotten */
        return NULL;
    }
    if (rec->role == ROLE_PARKED && rec->has_parked) {
        return rec->parked.samples;
    }
    return rec->role == ROLE_OWNER && has_valid_samples(d, dev) ? dev->samples : NULL;
}

static int
compare_samples(const char (*was)[IDENTITY_HASH_LEN], struct port *port,
                const struct record *rec, struct err *e)
{
    struct identity now;
    int rc = identity_take(port, &rec->info, e, &now);

    for (unsigned i = 0; i < IDENTITY_SAMPLES && rc == 0; i++) {
        if (strcmp(was[i], now.samples[i]) != 0) {
            rc = err_set(e, -EINVAL,
                         "it has other contents than when it was closed here");
        }
    }
    return rc;
}

static int
explain(struct disk *d, int rc, struct err *e)
{
    const struct service_config *cfg = d->service->cfg;
    struct err why = *e;

    return err_set(e, rc,
                   "%s is not the device that this disk had here: %s; nothing was "
                   "written to it. If a path names another device now, correct "
                   "device=. If it is right (the file was moved or restored from a "
                   "backup), accept it: baton recover %s --accept-device%s%s",
                   d->cfg->device, why.msg, d->cfg->name,
                   cfg->has_control ? " --at " : "",
                   cfg->has_control ? cfg->control.text : "");
}

int
device_check(struct disk *d, struct port *port, struct err *e)
{
    const char(*samples)[IDENTITY_HASH_LEN];
    char name[IDENTITY_DEVICE_LEN];
    struct record rec = disk_record(d);
    struct record_device dev;
    struct err why = {{0}};
    int rc = 0;

    record_device_read(d->service->records, d->cfg->name, &dev);
    name_of(d, port, name);
    if (is_of(&dev, &rec) && are_comparable(dev.name, name)) {
        rc = strcmp(dev.name, name) == 0
                 ? 0
                 : err_set(&why, -EINVAL, "it is %s, and was %s", name, dev.name);
    } else {
        samples = samples_of(d, &rec, &dev);
        rc = samples != NULL ? compare_samples(samples, port, &rec, &why) : 0;
    }
    if (rc < 0 && e != NULL) {
        *e = why;
    }
    return rc == -EINVAL && e != NULL ? explain(d, rc, e) : rc;
}

static void
write_down(struct disk *d, const struct record_device *dev)
{
    struct err e = {{0}};

    if (record_device_write(d->service->records, d->cfg->name, dev, &e) < 0) {
        log_warn("%s: another device in its place would not be noticed: %s",
                 d->cfg->name, e.msg);
    }
}

void
device_keep(struct disk *d)
{
    const uint64_t now = record_dir_incarnation(d->service->records);
    struct record_device dev;

    record_device_read(d->service->records, d->cfg->name, &dev);
    if (has_valid_samples(d, &dev) && dev.closed != now) {
        dev.closed = now;
        write_down(d, &dev);
    }
}

/* An incarnation that is written down says it for all disks. */
int
device_begin(struct disk *d, struct err *e)
{
    struct record_dir *records = d->service->records;
    struct record_device dev;
    int rc = 0;

    record_device_read(records, d->cfg->name, &dev);
    if (dev.has_samples && (dev.closed == record_dir_incarnation(records) ||
                            record_dir_last_incarnation(records) == 0)) {
        rc = record_device_remove(records, d->cfg->name, e);
        if (rc == -EROFS) { /* a later start may refuse what was written meanwhile */
            log_warn("%s: what is remembered of its device cannot be removed: %s",
                     d->cfg->name, e != NULL ? e->msg : "");
            rc = 0;
        }
    }
    return rc;
}

static struct record_device
describe(const struct record *rec)
{
    struct record_device dev = {.epoch = rec->epoch};

    (void)snprintf(dev.uuid, sizeof dev.uuid, "%s", rec->uuid);
    return dev;
}

void
device_remember(struct disk *d)
{
    const struct record rec = disk_record(d);
    struct record_device was, dev = describe(&rec);

    name_of(d, redir_active(d->redir), dev.name);
    record_device_read(d->service->records, d->cfg->name, &was);
    if (was.epoch != dev.epoch || strcmp(was.uuid, dev.uuid) != 0 ||
        strcmp(was.name, dev.name) != 0) {
        write_down(d, &dev);
    }
}

void
device_remember_closed(struct disk *d, struct port *port)
{
    const struct record rec = disk_record(d);
    struct record_device dev = describe(&rec);
    struct identity id;

    dev.closed = record_dir_incarnation(d->service->records);
    name_of(d, port, dev.name);
    if (dev.name[0] == '\0' && identity_take(port, &rec.info, NULL, &id) == 0) {
        memcpy(dev.samples, id.samples, sizeof dev.samples);
        dev.has_samples = true;
        write_down(d, &dev);
    }
}

/* d is claimed. */
static int
accept_now(struct disk *d, struct err *e)
{
    const struct record rec = disk_record(d);
    struct record_device dev = describe(&rec);
    struct port *port = NULL;
    int rc = disk_open_device(d, e, &port);

    if (rc == 0) {
        rc = port_info_can_replace(&rec.info, &port->info, e);
    }
    if (rc == 0) {
        name_of(d, port, dev.name);
        rc = record_device_write(d->service->records, d->cfg->name, &dev, e);
    }
    if (rc == 0 && rec.has_parked && rec.role == ROLE_PARKED) {
        struct record next = rec;
        bool is_committed = false;

        next.has_parked = false; /* what was parked is not what is there now */
        rc = record_commit(d->service->records, &next, 1, e, &is_committed);
        rc = is_committed ? 0 : rc;
        if (rc == 0) {
            disk_set_record(d, &next);
        }
    }
    if (rc == 0) {
        log_warn("%s: %s is accepted as its device, because a person said so%s%s",
                 d->cfg->name, d->cfg->device, dev.name[0] != '\0' ? ": " : "",
                 dev.name);
    }
    port_close(port);
    return rc;
}

int
device_accept(struct service *s, const char *target, struct err *e)
{
    struct disk *d = service_find_disk(s, target);
    bool was_in_trouble;
    int rc;

    if (d == NULL) {
        return err_set(e, -ENOENT, "%s has no disk %s; give a disk's name",
                       s->cfg->name, target);
    }
    was_in_trouble = disk_failed_is(d, NULL);
    rc = was_in_trouble ? disk_failed_claim(d, e)
                        : disk_claim(d, "accepting its device", e);
    if (rc < 0) {
        return rc;
    }
    if (!was_in_trouble && disk_record(d).role == ROLE_OWNER) {
        rc = err_set(e, -EPERM, "%s is served by %s: there is nothing to accept",
                     target, s->cfg->name);
    } else {
        rc = accept_now(d, e);
    }
    disk_unclaim(d);
    if (rc == 0 && was_in_trouble) {
        disk_failed_try_now(s);
    }
    return rc;
}
