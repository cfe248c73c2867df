/* SPDX-License-Identifier: BSD-3-Clause */
/* config_complete.c - what only shows when all settings are known: what is missing, and
 * what is there twice. Twins are found by sorting one text per disk. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "config.h"
#include "config_parts.h"
#include "uri.h"

#define DEFAULT_STATE_PARENT "/var/lib/baton"

struct twin_key {
    char *text; /* NULL: this disk has none and is nobody's twin */
    const struct disk_config *disk;
};

/* One text for every way to name the same device. NULL: out of memory. */
static char *
device_text(const struct disk_config *d)
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *base = strrchr(d->device, '/');
    struct stat st;
    char *text = NULL;
    int n;

    if (d->is_nbd) {
        return strdup(d->device);
    }
    if (stat(d->device, &st) == 0 && S_ISBLK(st.st_mode)) {
        n = asprintf(&text, "block:%u:%u", major(st.st_rdev), minor(st.st_rdev));
        return n < 0 ? NULL : text;
    }
    if (stat(d->device, &st) == 0) {
        n = asprintf(&text, "file:%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
        return n < 0 ? NULL : text;
    }
    /* Not there (yet): the folder may be, under several names. */
    (void)snprintf(folder, sizeof folder, "%.*s/", (int)(base - d->device), d->device);
    if (realpath(folder, real) == NULL) {
        return strdup(d->device);
    }
    n = asprintf(&text, "%s/%s", strcmp(real, "/") == 0 ? "" : real, base + 1);
    return n < 0 ? NULL : text;
}

static char *
name_text(const struct disk_config *d)
{
    return strdup(d->name);
}

static char *
uuid_text(const struct disk_config *d)
{
    return strdup(d->uuid);
}

static int
compare_keys(const void *a, const void *b)
{
    const struct twin_key *x = a, *y = b;
    int order = strcmp(x->text, y->text);

    if (order == 0) { /* in the order given, so that the sentence is stable */
        order = x->disk < y->disk ? -1 : x->disk > y->disk;
    }
    return order;
}

/* Sets *ret_first and *ret_second to two disks of the same text, or to NULL. */
static int
find_twins(const struct service_config *c, char *(*text)(const struct disk_config *),
           const struct disk_config **ret_first, const struct disk_config **ret_second)
{
    struct twin_key *keys = calloc(c->nr_disks, sizeof *keys);
    unsigned nr = 0;
    int rc = keys == NULL && c->nr_disks > 0 ? -ENOMEM : 0;

    *ret_first = *ret_second = NULL;
    for (unsigned i = 0; rc == 0 && i < c->nr_disks; i++) {
        keys[nr].disk = &c->disks[i];
        keys[nr].text = text(&c->disks[i]);
        if (keys[nr].text == NULL) {
            rc = -ENOMEM;
        } else if (keys[nr].text[0] == '\0') { /* not given */
            free(keys[nr].text);
        } else {
            nr++;
        }
    }
    if (rc == 0 && nr > 1) {
        qsort(keys, nr, sizeof *keys, compare_keys);
    }
    for (unsigned i = 1; rc == 0 && i < nr && *ret_first == NULL; i++) {
        if (strcmp(keys[i - 1].text, keys[i].text) == 0) {
            *ret_first = keys[i - 1].disk;
            *ret_second = keys[i].disk;
        }
    }
    while (nr > 0) {
        free(keys[--nr].text);
    }
    free(keys);
    return rc;
}

static int
check_twins(const struct service_config *c, struct err *e)
{
    const struct disk_config *a, *b;

    if (find_twins(c, name_text, &a, &b) < 0) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    if (a != NULL) {
        return err_set(e, -EINVAL, "disk %s is given twice; allowed: once", a->name);
    }
    if (find_twins(c, uuid_text, &a, &b) < 0) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    if (a != NULL) {
        return err_set(e, -EINVAL,
                       "disks %s and %s have the same uuid %s; allowed: one disk of a "
                       "uuid",
                       a->name, b->name, a->uuid);
    }
    if (find_twins(c, device_text, &a, &b) < 0) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    if (a != NULL) {
        return err_set(e, -EINVAL,
                       "disks %s and %s have the same device (%.200s and %.200s); "
                       "allowed: one disk of a device",
                       a->name, b->name, a->device, b->device);
    }
    return 0;
}

static int
check_sockets(const struct service_config *c, struct err *e)
{
    for (unsigned i = 0; i < c->nr_listen; i++) {
        for (unsigned j = 0; j < c->nr_net_control; j++) {
            if (strcmp(c->listen[i].text, c->net_control[j].text) == 0) {
                return err_set(e, -EINVAL,
                               "%s is given as listen and as control; allowed: two "
                               "sockets",
                               c->listen[i].text);
            }
        }
    }
    for (unsigned i = 0; c->has_control && i < c->nr_listen; i++) {
        if (strcmp(c->listen[i].text, c->control.text) == 0) {
            return err_set(e, -EINVAL,
                           "%s is given as listen and as control; allowed: two sockets",
                           c->control.text);
        }
    }
    return 0;
}

int
config_complete(struct service_config *c, struct err *e)
{
    int rc;

    if (c->name[0] == '\0') {
        return err_set(e, -EINVAL, "the service has no name; give one with name");
    }
    if (c->nr_disks == 0) {
        return err_set(e, -EINVAL, "there is no disk to serve; give one with disk");
    }
    config_access_complete(c);
    rc = check_sockets(c, e);
    if (rc < 0) {
        return rc;
    }
    rc = config_net_check(c, e);
    if (rc < 0) {
        return rc;
    }
    rc = check_twins(c, e);
    if (rc < 0) {
        return rc;
    }
    if (c->state_dir == NULL &&
        asprintf(&c->state_dir, DEFAULT_STATE_PARENT "/%s", c->name) < 0) {
        c->state_dir = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    return 0;
}
