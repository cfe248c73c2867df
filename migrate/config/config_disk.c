/* SPDX-License-Identifier: BSD-3-Clause */
/* config_disk.c - one disk as configured: the table of its keys, and their parsers. */
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
#include "config_text.h"
#include "port_channel.h"
#include "port_file.h"
#include "record.h"
#include "stack.h"
#include "tls_peer.h"

#define MAX_CONNECTIONS 16
#define DEFAULT_CONNECTIONS 4 /* a server that is not multi-conn safe gets one */
#define MAX_DESCRIPTION 255
#define MAX_APPEARS_NS                                                                 \
    (20 * NS_PER_S) /* less than the other side waits for an answer */
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

/* The kinds of URIs that a device can have; libnbd takes the rest of them apart. */
static const struct nbd_scheme {
    const char *text;
    bool is_unix;
} nbd_schemes[] = {{"nbd://", false},
                   {"nbd+unix://", true},
                   {"nbd+vsock://", false},
                   {"nbds://", false}};

static const struct nbd_scheme *
find_scheme(const char *device)
{
    for (size_t i = 0; i < sizeof nbd_schemes / sizeof nbd_schemes[0]; i++) {
        if (strncmp(device, nbd_schemes[i].text, strlen(nbd_schemes[i].text)) == 0) {
            return &nbd_schemes[i];
        }
    }
    return NULL;
}

static int
set_device(struct disk_config *d, const char *v, struct err *e)
{
    if (v[0] != '/' && find_scheme(v) == NULL) {
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
set_switch(bool *is_on, const char *v, struct err *e)
{
    return config_text_switch(v, is_on) < 0 ? err_set(e, -EINVAL, "allowed: on, off")
                                            : 0;
}

static int
set_readonly(struct disk_config *d, const char *v, struct err *e)
{
    return set_switch(&d->readonly, v, e);
}

static int
set_reconnect(struct disk_config *d, const char *v, struct err *e)
{
    return set_switch(&d->reconnects, v, e);
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

static int
set_on_hold(struct disk_config *d, const char *v, struct err *e)
{
    if (strcmp(v, "wait") != 0) {
        return err_set(e, -EINVAL,
                       "allowed: wait (or fail-after=DURATION in its place)");
    }
    d->fail_after_ns = CLOCK_NEVER;
    return 0;
}

static int
set_fail_after(struct disk_config *d, const char *v, struct err *e)
{
    uint64_t ns;
    int rc = config_parse_duration(v, e, &ns);

    if (rc < 0) {
        return rc;
    }
    if (ns == 0) {
        return err_set(e, -EINVAL,
                       "every handoff would fail requests; allowed: more than 0");
    }
    d->fail_after_ns = ns;
    return 0;
}

static int
set_appears_within(struct disk_config *d, const char *v, struct err *e)
{
    uint64_t ns;
    int rc = config_parse_duration(v, e, &ns);

    if (rc < 0) {
        return rc;
    }
    if (ns > MAX_APPEARS_NS) {
        return err_set(e, -EINVAL, "allowed: at most 20s");
    }
    d->appears_within_ns = ns;
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

const struct config_row config_disk_keys[] = {
    {.word = "name", .form = CONFIG_SCALAR, .set_disk = set_name},
    {.word = "device", .form = CONFIG_SCALAR, .set_disk = set_device},
    {.word = "vm", .form = CONFIG_SCALAR, .set_disk = set_vm},
    {.word = "role", .form = CONFIG_SCALAR, .set_disk = set_role},
    {.word = "readonly", .form = CONFIG_SCALAR, .set_disk = set_readonly},
    {.word = "cache", .form = CONFIG_SCALAR, .set_disk = set_cache},
    {.word = "durability", .form = CONFIG_SCALAR, .set_disk = set_durability},
    {.word = "writers", .form = CONFIG_SCALAR, .set_disk = set_writers},
    {.word = "uuid", .form = CONFIG_SCALAR, .set_disk = set_uuid},
    {.word = "description", .form = CONFIG_SCALAR, .set_disk = set_description},
    {.word = "on-hold", .form = CONFIG_SCALAR, .set_disk = set_on_hold},
    {.word = "fail-after", .form = CONFIG_SCALAR, .set_disk = set_fail_after},
    {.word = "connections", .form = CONFIG_SCALAR, .set_disk = set_connections},
    {.word = "peers-allowed", .form = CONFIG_SCALAR, .set_disk = set_peers_allowed},
    {.word = "appears-within", .form = CONFIG_SCALAR, .set_disk = set_appears_within},
    {.word = "reconnect", .form = CONFIG_SCALAR, .set_disk = set_reconnect},
    {.word = "layer",
     .file_word = "layers",
     .form = CONFIG_LIST,
     .repeats = true,
     .set_disk = set_layer},
    {0},
};

static int
refuse_key(const char *key, struct err *e)
{
    char allowed[CONFIG_LIST_LEN];

    config_rows_list(config_disk_keys, false, allowed, sizeof allowed);
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
    const struct config_row *key = config_rows_find(config_disk_keys, it->key, false);
    int rc;

    if (key == NULL) {
        return refuse_key(it->key, e);
    }
    if (!key->repeats && find_item(items, it->key, i) != NULL) {
        return err_set(e, -EINVAL, "key \"%s\" is given twice; allowed: once", it->key);
    }
    rc = config_text_check(it->value, e);
    if (rc < 0) { /* what cannot stand in a sentence is not repeated there */
        return err_prefix(e, rc, "%s=", it->key);
    }
    rc = key->set_disk(d, it->value, e);
    return rc < 0 ? err_prefix(e, rc, "%s=%.100s", it->key, it->value) : 0;
}

/* What only shows when all keys are known. */
static int
check_together(const struct disk_config *d, const struct config_items *items,
               struct err *e)
{
    const struct nbd_scheme *scheme;

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
    scheme = find_scheme(d->device);
    if (d->reconnects && (scheme == NULL || !scheme->is_unix)) {
        return err_set(e, -EINVAL,
                       "reconnect=on is for an NBD server on a unix socket: of any "
                       "other it cannot be known when its process, and all that it was "
                       "sent, has ended; allowed with this device: reconnect=off");
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
