/* SPDX-License-Identifier: BSD-3-Clause */
/* config_disk.c - one disk as configured: a table of keys, each with its setter. The
 * list of allowed keys in errors is made from the same table. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "config_parts.h"
#include "port_channel.h"
#include "port_file.h"
#include "record.h"
#include "stack.h"
#include "tls_peer.h"

#define MAX_CONNECTIONS 16
#define DEFAULT_CONNECTIONS 4 /* a server that is not multi-conn safe gets one */
#define MAX_DESCRIPTION 255
#define NAME_RULE                                                                      \
    "1 to 63 of letters, digits, \".\", \"_\" and \"-\", the first one a letter or "   \
    "digit"

static int
set_name(struct disk_config *d, const char *v, struct err *e)
{
    if (!name_is_valid(v)) {
        return err_set(e, -EINVAL, "not a name; allowed: " NAME_RULE);
    }
    if (strcmp(v, "all") == 0) {
        return err_set(e, -EINVAL,
                       "no disk can be called all: that means each of them");
    }
    (void)snprintf(d->name, sizeof d->name, "%s", v);
    return 0;
}

static int
set_vm(struct disk_config *d, const char *v, struct err *e)
{
    if (!name_is_valid(v)) {
        return err_set(e, -EINVAL, "not a name; allowed: " NAME_RULE);
    }
    (void)snprintf(d->vm, sizeof d->vm, "%s", v);
    return 0;
}

static bool
is_nbd_uri(const char *v)
{
    static const char *const schemes[] = {"nbd://", "nbd+unix://", "nbd+vsock://",
                                          "nbds://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(v, schemes[i], strlen(schemes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int
set_device(struct disk_config *d, const char *v, struct err *e)
{
    if (v[0] != '/' && !is_nbd_uri(v)) {
        return err_set(e, -EINVAL,
                       "allowed: an absolute path, or a URI nbd://, nbds://, "
                       "nbd+unix:// or nbd+vsock://");
    }
    if (strlen(v) >= PATH_MAX) {
        return err_set(e, -EINVAL, "too long; allowed: at most %d bytes", PATH_MAX - 1);
    }
    d->device = strdup(v);
    if (d->device == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    d->is_nbd = v[0] != '/';
    return 0;
}

static int
set_role(struct disk_config *d, const char *v, struct err *e)
{
    if (strcmp(v, "owner") == 0) {
        d->role = ROLE_OWNER;
    } else if (strcmp(v, "standby") == 0) {
        d->role = ROLE_STANDBY;
    } else {
        return err_set(e, -EINVAL, "not a role to start with; allowed: owner, standby");
    }
    return 0;
}

static int
set_readonly(struct disk_config *d, const char *v, struct err *e)
{
    if (strcmp(v, "on") != 0 && strcmp(v, "off") != 0) {
        return err_set(e, -EINVAL, "allowed: on, off");
    }
    d->readonly = strcmp(v, "on") == 0;
    return 0;
}

static int
set_reconnect(struct disk_config *d, const char *v, struct err *e)
{
    if (strcmp(v, "on") != 0 && strcmp(v, "off") != 0) {
        return err_set(e, -EINVAL, "allowed: on, off");
    }
    d->reconnects = strcmp(v, "on") == 0;
    return 0;
}

static int
set_cache(struct disk_config *d, const char *v, struct err *e)
{
    if (strcmp(v, "none") == 0) {
        d->cache = FILE_CACHE_NONE;
    } else if (strcmp(v, "writeback") == 0) {
        d->cache = FILE_CACHE_WRITEBACK;
    } else if (strcmp(v, "writethrough") == 0) {
        d->cache = FILE_CACHE_WRITETHROUGH;
    } else {
        return err_set(e, -EINVAL,
                       "no such cache mode; allowed: none, writeback, writethrough");
    }
    return 0;
}

static int
set_writers(struct disk_config *d, const char *v, struct err *e)
{
    static const char *const names[] = {
        [WRITERS_VM] = "vm", [WRITERS_ONE] = "one", [WRITERS_ANY] = "any"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], v) == 0) {
            d->writers = i;
            return 0;
        }
    }
    return err_set(e, -EINVAL, "allowed: vm, one, any");
}

static int
set_durability(struct disk_config *d, const char *v, struct err *e)
{
    if (strcmp(v, "keep") == 0) {
        d->durability = CHANNEL_KEEP;
    } else if (strcmp(v, "writethrough") == 0) {
        d->durability = CHANNEL_WRITETHROUGH;
    } else if (strcmp(v, "owner") == 0) {
        d->durability = CHANNEL_OWNER;
    } else {
        return err_set(e, -EINVAL,
                       "no such policy; allowed: keep, writethrough, owner");
    }
    return 0;
}

static bool
has_form(const char *v, const char *form)
{
    bool is_ok = strlen(v) == strlen(form);

    for (size_t i = 0; is_ok && form[i] != '\0'; i++) {
        is_ok = form[i] == '-' ? v[i] == '-' : isxdigit((unsigned char)v[i]) != 0;
    }
    return is_ok;
}

static int
set_uuid(struct disk_config *d, const char *v, struct err *e)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    bool is_ok = has_form(v, form), is_nil = strspn(v, "-0") == strlen(v);

    if (!is_ok || is_nil) {
        return err_set(e, -EINVAL, "not a UUID; allowed: hexadecimal digits as %s%s",
                       form, is_ok ? ", not all zero" : "");
    }
    for (size_t i = 0; i < sizeof form; i++) {
        d->uuid[i] =
            (char)(tolower)((unsigned char)v[i]); /* the macro nests too deep */
    }
    return 0;
}

static int
set_description(struct disk_config *d, const char *v, struct err *e)
{
    if (strlen(v) > MAX_DESCRIPTION) {
        return err_set(e, -EINVAL, "too long; allowed: at most %d bytes",
                       MAX_DESCRIPTION);
    }
    d->description = strdup(v);
    return d->description != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int
set_connections(struct disk_config *d, const char *v, struct err *e)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(v, &end, 10);
    if (!isdigit((unsigned char)v[0]) || *end != '\0' || errno != 0 || n < 1 ||
        n > MAX_CONNECTIONS) {
        return err_set(e, -EINVAL, "allowed: 1 to %d", MAX_CONNECTIONS);
    }
    d->connections = (unsigned)n;
    return 0;
}

/* NAME[,NAME]...: as they stand in certificates or in the file of keys. */
static int
set_peers_allowed(struct disk_config *d, const char *v, struct err *e)
{
    const char *name = v;

    for (;;) {
        size_t len = strcspn(name, ",");

        if (len < 1 || len > TLS_NAME_MAX) {
            return err_set(e, -EINVAL,
                           "allowed: names of peers with commas between them, each of "
                           "1 to %d bytes (in an option a comma is written \",,\")",
                           TLS_NAME_MAX);
        }
        if (name[len] == '\0') {
            break;
        }
        name += len + 1;
    }
    d->peers_allowed = strdup(v);
    return d->peers_allowed != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int
set_layer(struct disk_config *d, const char *v, struct err *e)
{
    return stack_spec_add(&d->layers, v, e);
}

static const struct disk_key {
    const char *name;
    bool may_repeat;
    int (*set)(struct disk_config *d, const char *value, struct err *e);
} disk_keys[] = {
    {"name", false, set_name},
    {"device", false, set_device},
    {"vm", false, set_vm},
    {"role", false, set_role},
    {"readonly", false, set_readonly},
    {"cache", false, set_cache},
    {"durability", false, set_durability},
    {"writers", false, set_writers},
    {"uuid", false, set_uuid},
    {"description", false, set_description},
    {"on-hold", false, config_set_on_hold},
    {"fail-after", false, config_set_fail_after},
    {"connections", false, set_connections},
    {"peers-allowed", false, set_peers_allowed},
    {"appears-within", false, config_set_appears_within},
    {"reconnect", false, set_reconnect},
    {"layer", true, set_layer},
};
#define NR_DISK_KEYS (sizeof disk_keys / sizeof disk_keys[0])

static const struct disk_key *
find_key(const char *name)
{
    for (size_t i = 0; i < NR_DISK_KEYS; i++) {
        if (strcmp(disk_keys[i].name, name) == 0) {
            return &disk_keys[i];
        }
    }
    return NULL;
}

static int
refuse_key(const char *key, struct err *e)
{
    char allowed[256] = "";
    size_t n = 0;

    for (size_t i = 0; i < NR_DISK_KEYS; i++) {
        n += (size_t)snprintf(allowed + n, sizeof allowed - n, "%s%s",
                              i == 0 ? "" : ", ", disk_keys[i].name);
        assert(n < sizeof allowed);
    }
    return err_set(e, -EINVAL, "unknown key \"%.100s\"; allowed: %s", key, allowed);
}

/* The first item with this key before index end, or NULL. */
static const struct config_item *
find_item(const struct config_items *items, const char *key, unsigned end)
{
    for (unsigned i = 0; i < end; i++) {
        if (strcmp(items->item[i].key, key) == 0) {
            return &items->item[i];
        }
    }
    return NULL;
}

static int
apply_item(struct disk_config *d, const struct config_items *items, unsigned i,
           struct err *e)
{
    const struct config_item *it = &items->item[i];
    const struct disk_key *key = find_key(it->key);
    int rc;

    if (key == NULL) {
        return refuse_key(it->key, e);
    }
    if (!key->may_repeat && find_item(items, it->key, i) != NULL) {
        return err_set(e, -EINVAL, "key \"%s\" is given twice; allowed: once", it->key);
    }
    rc = config_check_text(it->value, e);
    if (rc < 0) { /* what cannot stand in a sentence is not repeated there */
        return err_prefix(e, rc, "%s=", it->key);
    }
    rc = key->set(d, it->value, e);
    return rc < 0 ? err_prefix(e, rc, "%s=%.100s", it->key, it->value) : 0;
}

/* What only shows when all keys are known. */
static int
check_together(const struct disk_config *d, const struct config_items *items,
               struct err *e)
{
    if (d->device == NULL) {
        return err_set(e, -EINVAL, "has no device; a disk needs name and device");
    }
    if (find_item(items, "on-hold", items->nr) != NULL &&
        find_item(items, "fail-after", items->nr) != NULL) {
        return err_set(e, -EINVAL,
                       "on-hold=wait and fail-after contradict each other; allowed: "
                       "one of them");
    }
    if (d->is_nbd && find_item(items, "cache", items->nr) != NULL) {
        return err_set(e, -EINVAL,
                       "cache is for files and block devices; allowed with an NBD "
                       "device: no cache key");
    }
    if (d->reconnects && strncmp(d->device, "nbd+unix:", 9) != 0 &&
        strncmp(d->device, "nbds+unix:", 10) != 0) {
        return err_set(
            e, -EINVAL,
            "reconnect=on is for an NBD server on a unix socket: whether one "
            "elsewhere has ended, and all that it was sent, cannot be known; "
            "allowed with this device: reconnect=off");
    }
    return 0;
}

int
config_disk_build(const struct config_items *items, const char *place, struct err *e,
                  struct disk_config *ret_disk)
{
    struct disk_config d = {
        .role = ROLE_OWNER,
        .cache = FILE_CACHE_WRITEBACK,
        .connections = DEFAULT_CONNECTIONS,
        .fail_after_ns = CLOCK_NEVER,
    };
    const struct config_item *name = find_item(items, "name", items->nr);
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < items->nr; i++) {
        rc = apply_item(&d, items, i, e);
        if (rc < 0) {
            place = items->item[i].place;
        }
    }
    if (rc == 0 && name == NULL) {
        rc = err_set(e, -EINVAL, "a disk has no name; a disk needs name and device");
    } else if (rc == 0) {
        rc = check_together(&d, items, e);
    }
    if (rc < 0) {
        if (name != NULL && name_is_valid(name->value)) {
            (void)err_prefix(e, rc, "disk %s", name->value);
        }
        config_disk_done(&d);
        return err_prefix(e, rc, "%s", place);
    }
    *ret_disk = d;
    return 0;
}

void
config_disk_done(struct disk_config *d)
{
    free(d->device);
    free(d->description);
    free(d->peers_allowed);
    stack_spec_done(&d->layers);
    *d = (struct disk_config){0};
}
