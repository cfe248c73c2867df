/* SPDX-License-Identifier: BSD-3-Clause */
/* config.c - the service's own settings. A setting that is refused leaves nothing
 * behind; for a whole file that is a rollback to what was there before. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "clock.h"
#include "config_parts.h"
#include "record.h"
#include "uri.h"

#define ALLOWED_SETTINGS                                                               \
    "name, listen, announce, control, announce-control, state-dir, peer, "             \
    "handoff-on-term, socket-owner, socket-group, socket-mode, control-group, "        \
    "tls-certificates, tls-psk, tls-psk-user, insecure-plain-tcp, disk, config"

void
service_config_init(struct service_config *c)
{
    *c = (struct service_config){0};
    config_access_init(c);
}

void
service_config_done(struct service_config *c)
{
    for (unsigned i = 0; i < c->nr_disks; i++) {
        config_disk_done(&c->disks[i]);
    }
    free(c->disks);
    free(c->state_dir);
    free(c->tls.certificates);
    free(c->tls.psk);
    free(c->tls.psk_user);
    *c = (struct service_config){0};
}

int
config_check_text(const char *s, struct err *e)
{
    json_t *as_json;

    if (s[0] == '\0') {
        return err_set(e, -EINVAL, "is empty; allowed: a value");
    }
    for (const char *p = s; *p != '\0'; p++) {
        if (iscntrl((unsigned char)*p)) {
            return err_set(e, -EINVAL,
                           "has a control character; allowed: printable text");
        }
    }
    as_json = json_string(s); /* NULL for what is not UTF-8 */
    if (as_json == NULL) {
        return err_set(e, -EINVAL, "is not UTF-8; allowed: UTF-8 text");
    }
    json_decref(as_json);
    return 0;
}

int
config_parse_duration(const char *s, struct err *e, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"us", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}};
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(s, &end, 10);
    if (isdigit((unsigned char)s[0]) && errno == 0) {
        if (n == 0 && *end == '\0') {
            *ret_ns = 0;
            return 0;
        }
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (strcmp(end, units[i].name) == 0 && n < CLOCK_NEVER / units[i].ns) {
                *ret_ns = n * units[i].ns;
                return 0;
            }
        }
    }
    return err_set(
        e, -EINVAL,
        "\"%.100s\" is not a duration; allowed: a number with us, ms, s or m "
        "(500ms, 30s), or 0",
        s);
}

static int
refuse_second(const char *old, struct err *e)
{
    return err_set(e, -EINVAL, "is given twice (before: %.100s); allowed: once", old);
}

static int
set_name(struct service_config *c, const char *value, struct err *e)
{
    if (c->name[0] != '\0') {
        return refuse_second(c->name, e);
    }
    if (!name_is_valid(value)) {
        return err_set(e, -EINVAL,
                       "\"%.100s\" is not a name; allowed: 1 to 63 of letters, digits, "
                       "\".\", \"_\" and \"-\", the first one a letter or digit",
                       value);
    }
    (void)snprintf(c->name, sizeof c->name, "%s", value);
    return 0;
}

static int
set_state_dir(struct service_config *c, const char *value, struct err *e)
{
    if (c->state_dir != NULL) {
        return refuse_second(c->state_dir, e);
    }
    if (value[0] != '/' || strlen(value) >= PATH_MAX) {
        return err_set(e, -EINVAL,
                       "\"%.100s\": allowed: an absolute path of at most "
                       "%d bytes",
                       value, PATH_MAX - 1);
    }
    c->state_dir = strdup(value);
    return c->state_dir != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int
add_uri(struct uri *uris, unsigned *nr, const char *value, enum uri_use use,
        struct err *e)
{
    struct uri u;
    int rc = uri_parse(value, use, e, &u);

    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < *nr; i++) {
        if (strcmp(uris[i].text, u.text) == 0) {
            return err_set(e, -EINVAL, "%s is given twice; allowed: once", u.text);
        }
    }
    if (*nr == CONFIG_MAX_LISTEN) {
        return err_set(e, -EINVAL, "%s: too many; allowed: at most %d", u.text,
                       CONFIG_MAX_LISTEN);
    }
    uris[(*nr)++] = u;
    return 0;
}

/* One unix socket, and any number of tcp and vsock ones. */
static int
set_control(struct service_config *c, const char *value, struct err *e)
{
    struct uri u;
    int rc = uri_parse(value, URI_FOR_CONTROL_LISTEN, e, &u);

    if (rc < 0) {
        return rc;
    }
    if (u.kind != URI_UNIX) {
        return add_uri(c->net_control, &c->nr_net_control, value,
                       URI_FOR_CONTROL_LISTEN, e);
    }
    if (c->has_control) {
        return refuse_second(c->control.text, e);
    }
    c->control = u;
    c->has_control = true;
    return 0;
}

static int
set_listen(struct service_config *c, const char *value, struct err *e)
{
    return add_uri(c->listen, &c->nr_listen, value, URI_FOR_LISTEN, e);
}

static int
set_announce(struct service_config *c, const char *value, struct err *e)
{
    return add_uri(c->announce, &c->nr_announce, value, URI_FOR_CHANNEL, e);
}

static int
add_peer(struct service_config *c, const char *value, struct err *e)
{
    return add_uri(c->peers, &c->nr_peers, value, URI_FOR_CONTROL, e);
}

static int
set_heir(struct service_config *c, const char *value, struct err *e)
{
    int rc;

    if (c->has_heir) {
        return refuse_second(c->heir.text, e);
    }
    rc = uri_parse(value, URI_FOR_CONTROL, e, &c->heir);
    c->has_heir = rc == 0;
    return rc;
}

int
config_add_disk(struct service_config *c, const struct config_items *items,
                const char *place, struct err *e)
{
    struct disk_config *disks;
    int rc;

    if (c->nr_disks == CONFIG_MAX_DISKS) {
        return err_set(e, -EINVAL, "%s: too many disks; allowed: at most %d", place,
                       CONFIG_MAX_DISKS);
    }
    if ((c->nr_disks & (c->nr_disks - 1)) == 0) { /* full: 0, 1, 2, 4, 8, ... */
        disks = reallocarray(c->disks, c->nr_disks == 0 ? 1 : 2 * c->nr_disks,
                             sizeof *disks);
        if (disks == NULL) {
            return err_set(e, -ENOMEM, "%s: out of memory", place);
        }
        c->disks = disks;
    }
    rc = config_disk_build(items, place, e, &c->disks[c->nr_disks]);
    if (rc == 0) {
        c->nr_disks++;
    }
    return rc;
}

static int
set_disk(struct service_config *c, const char *value, const char *where, struct err *e)
{
    struct config_items items = {0};
    int rc = config_items_split(&items, value, where, e);

    if (rc == 0) {
        rc = config_add_disk(c, &items, where, e);
    }
    config_items_done(&items);
    return rc;
}

static void
free_new(char **text, const char *old)
{
    if (old == NULL) {
        free(*text);
        *text = NULL;
    }
}

static int
set_config(struct service_config *c, const char *path, const char *where, struct err *e)
{
    const struct service_config old = *c;
    int rc = config_file_apply(c, path, where, e);

    if (rc == 0) {
        return 0;
    }
    while (c->nr_disks > old.nr_disks) {
        config_disk_done(&c->disks[--c->nr_disks]);
    }
    c->nr_listen = old.nr_listen;
    c->nr_announce = old.nr_announce;
    c->has_control = old.has_control;
    c->nr_peers = old.nr_peers;
    c->has_heir = old.has_heir;
    (void)snprintf(c->name, sizeof c->name, "%s", old.name);
    c->nr_net_control = old.nr_net_control;
    c->has_announce_control = old.has_announce_control;
    c->listen_access = old.listen_access;
    c->control_access = old.control_access;
    c->tls.is_plain_tcp_ok = old.tls.is_plain_tcp_ok;
    free_new(&c->state_dir, old.state_dir);
    free_new(&c->tls.certificates, old.tls.certificates);
    free_new(&c->tls.psk, old.tls.psk);
    free_new(&c->tls.psk_user, old.tls.psk_user);
    return rc;
}

int
config_set(struct service_config *c, const char *key, const char *value,
           const char *where, struct err *e)
{
    static const struct {
        const char *key;
        int (*set)(struct service_config *c, const char *value, struct err *e);
    } setters[] = {{"name", set_name},
                   {"listen", set_listen},
                   {"announce", set_announce},
                   {"control", set_control},
                   {"peer", add_peer},
                   {"handoff-on-term", set_heir},
                   {"state-dir", set_state_dir},
                   {"announce-control", config_set_announce_control},
                   {"socket-owner", config_set_socket_owner},
                   {"socket-group", config_set_socket_group},
                   {"socket-mode", config_set_socket_mode},
                   {"control-group", config_set_control_group},
                   {"tls-certificates", config_set_tls_certificates},
                   {"tls-psk", config_set_tls_psk},
                   {"tls-psk-user", config_set_tls_psk_user},
                   {"insecure-plain-tcp", config_set_plain_tcp}};
    int rc;

    if (strcmp(key, "disk") == 0) { /* a disk's parts have places of their own */
        return set_disk(c, value, where, e);
    }
    rc = config_check_text(value, e);
    if (rc == 0 && strcmp(key, "config") == 0) {
        return set_config(c, value, where, e);
    }
    for (size_t i = 0; rc == 0 && i < sizeof setters / sizeof setters[0]; i++) {
        if (strcmp(setters[i].key, key) == 0) {
            rc = setters[i].set(c, value, e);
            return rc < 0 ? err_prefix(e, rc, "%s", where) : 0;
        }
    }
    if (rc == 0) {
        rc = err_set(e, -EINVAL, "unknown setting \"%.100s\"; allowed: %s", key,
                     ALLOWED_SETTINGS);
    }
    return err_prefix(e, rc, "%s", where);
}
