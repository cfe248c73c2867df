/* SPDX-License-Identifier: BSD-3-Clause */
/* config_net.c - settings of a service that other hosts reach: who it is (TLS), and
 * which of its addresses others are told. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_parts.h"
#include "tls.h"

static int
set_text(char **slot, const char *value, struct err *e)
{
    if (*slot != NULL) {
        return err_set(e, -EINVAL, "is given twice (before: %.100s); allowed: once",
                       *slot);
    }
    *slot = strdup(value);
    return *slot != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* libnbd takes it from a URI, nbdkit as an argument: absolute, so that it means the
 * same to all. */
static int
set_path(char **slot, const char *value, struct err *e)
{
    if (value[0] != '/' || strlen(value) >= PATH_MAX) {
        return err_set(e, -EINVAL,
                       "\"%.100s\": allowed: an absolute path of at most %d bytes",
                       value, PATH_MAX - 1);
    }
    return set_text(slot, value, e);
}

int
config_set_tls_certificates(struct service_config *c, const char *value, struct err *e)
{
    return set_path(&c->tls.certificates, value, e);
}

int
config_set_tls_psk(struct service_config *c, const char *value, struct err *e)
{
    return set_path(&c->tls.psk, value, e);
}

int
config_set_tls_psk_user(struct service_config *c, const char *value, struct err *e)
{
    if (strchr(value, ':') != NULL || strlen(value) > TLS_NAME_MAX) {
        return err_set(e, -EINVAL,
                       "\"%.100s\": allowed: a user name of the file of tls-psk, at "
                       "most %d bytes, no colon",
                       value, TLS_NAME_MAX);
    }
    return set_text(&c->tls.psk_user, value, e);
}

int
config_set_plain_tcp(struct service_config *c, const char *value, struct err *e)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        return err_set(e, -EINVAL, "\"%.100s\": allowed: on, off", value);
    }
    c->tls.is_plain_tcp_ok = strcmp(value, "on") == 0;
    return 0;
}

int
config_set_announce_control(struct service_config *c, const char *value, struct err *e)
{
    int rc;

    if (c->has_announce_control) {
        return err_set(e, -EINVAL, "is given twice (before: %.100s); allowed: once",
                       c->announce_control.text);
    }
    rc = uri_parse(value, URI_FOR_CONTROL, e, &c->announce_control);
    c->has_announce_control = rc == 0;
    return rc;
}

static int
check_tls(const struct tls_settings *t, struct err *e)
{
    if (t->certificates != NULL && t->psk != NULL) {
        return err_set(e, -EINVAL,
                       "tls-certificates and tls-psk contradict each other; allowed: "
                       "one of them");
    }
    if ((t->psk != NULL) != (t->psk_user != NULL)) {
        return err_set(e, -EINVAL, "tls-psk and tls-psk-user need each other");
    }
    if (t->is_plain_tcp_ok && tls_is_on(t)) {
        return err_set(e, -EINVAL,
                       "insecure-plain-tcp=on contradicts %s: with TLS every tcp "
                       "connection needs it",
                       t->psk != NULL ? "tls-psk" : "tls-certificates");
    }
    return 0;
}

static int
check_listeners(const struct service_config *c, const struct uri *uris, unsigned nr,
                struct err *e)
{
    bool is_free = tls_is_on(&c->tls) || c->tls.is_plain_tcp_ok;

    for (unsigned i = 0; i < nr; i++) {
        if (!is_free && !uri_is_local(&uris[i])) {
            return err_set(e, -EINVAL,
                           "%s: without TLS tcp is for loopback addresses "
                           "(127.0.0.0/8, [::1], localhost); allowed: with "
                           "tls-certificates or tls-psk, or, unprotected, with "
                           "insecure-plain-tcp=on",
                           uris[i].text);
        }
    }
    return 0;
}

static int
check_controls(const struct service_config *c, const struct uri *uris, unsigned nr,
               struct err *e)
{
    for (unsigned i = 0; i < nr; i++) {
        if (uris[i].kind == URI_TCP && !tls_is_on(&c->tls)) {
            return err_set(e, -EINVAL,
                           "%s: control over tcp needs TLS; give tls-certificates or "
                           "tls-psk",
                           uris[i].text);
        }
    }
    return 0;
}

static bool
is_any_address(const struct uri *u)
{
    return u->kind == URI_VSOCK ||
           (u->kind == URI_TCP &&
            (strcmp(u->host, "0.0.0.0") == 0 || strcmp(u->host, "::") == 0));
}

/* "All addresses" is nothing that others could connect to, nor is a port of vsock
 * without the CID that they know us by. */
static int
check_announced(const struct service_config *c, struct err *e)
{
    for (unsigned i = 0; c->nr_announce == 0 && i < c->nr_listen; i++) {
        if (is_any_address(&c->listen[i])) {
            return err_set(e, -EINVAL, "how do others reach %s? give announce",
                           c->listen[i].text);
        }
    }
    for (unsigned i = 0; !c->has_announce_control && i < c->nr_net_control; i++) {
        if (is_any_address(&c->net_control[i])) {
            return err_set(e, -EINVAL, "how do others reach %s? give announce-control",
                           c->net_control[i].text);
        }
    }
    return 0;
}

static bool
has_vsock(const struct uri *uris, unsigned nr)
{
    while (nr > 0 && uris[nr - 1].kind != URI_VSOCK) {
        nr--;
    }
    return nr > 0;
}

static int
check_allow_lists(const struct service_config *c, struct err *e)
{
    bool has_names = tls_is_on(&c->tls) || has_vsock(c->listen, c->nr_listen) ||
                     has_vsock(c->net_control, c->nr_net_control);

    for (unsigned i = 0; i < c->nr_disks; i++) {
        if (c->disks[i].peers_allowed != NULL && !has_names) {
            return err_set(e, -EINVAL,
                           "disk %s: peers-allowed: without TLS or vsock nobody has a "
                           "name; give tls-certificates or tls-psk",
                           c->disks[i].name);
        }
    }
    return 0;
}

int
config_check_net(const struct service_config *c, struct err *e)
{
    int rc = check_tls(&c->tls, e);

    rc = rc == 0 ? check_listeners(c, c->listen, c->nr_listen, e) : rc;
    rc = rc == 0 ? check_listeners(c, c->announce, c->nr_announce, e) : rc;
    rc = rc == 0 ? check_controls(c, c->net_control, c->nr_net_control, e) : rc;
    rc = rc == 0 ? check_controls(c, c->peers, c->nr_peers, e) : rc;
    rc = rc == 0 ? check_controls(c, &c->heir, c->has_heir ? 1 : 0, e) : rc;
    rc = rc == 0 ? check_announced(c, e) : rc;
    rc = rc == 0 ? check_allow_lists(c, e) : rc;
    return rc == 0 ? tls_check(&c->tls, true, e) : rc;
}

bool
config_is_own_control(const struct service_config *c, const struct uri *u)
{
    bool is_own =
        (c->has_control && strcmp(u->text, c->control.text) == 0) ||
        (c->has_announce_control && strcmp(u->text, c->announce_control.text) == 0);

    for (unsigned i = 0; i < c->nr_net_control && !is_own; i++) {
        is_own = strcmp(u->text, c->net_control[i].text) == 0;
    }
    return is_own;
}

const char *
config_control_for(const struct service_config *c, const struct uri *to)
{
    /* The path of a socket means something on its own host only. */
    if (to->kind != URI_UNIX && c->has_announce_control) {
        return c->announce_control.text;
    }
    if (to->kind != URI_UNIX && c->nr_net_control > 0) {
        return c->net_control[0].text;
    }
    return c->has_control ? c->control.text : "";
}
