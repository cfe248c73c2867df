/* SPDX-License-Identifier: BSD-3-Clause */
/* config_net.c - settings of a service that other hosts reach: who it is (TLS), and
 * whether that goes together with its addresses. */
#include <errno.h>
#include <string.h>

#include "config.h"
#include "config_parts.h"
#include "config_text.h"
#include "tls.h"

/* libnbd takes it from a URI, nbdkit as an argument: absolute, so that it means the
 * same to all. */
static int
set_path(char **slot, const char *value, struct err *e)
{
    int rc = config_text_path(value, e);

    return rc < 0 ? rc : config_text_keep(slot, value, e);
}

int
config_net_set_certificates(struct service_config *c, const char *value, struct err *e)
{
    return set_path(&c->tls.certificates, value, e);
}

int
config_net_set_psk(struct service_config *c, const char *value, struct err *e)
{
    return set_path(&c->tls.psk, value, e);
}

int
config_net_set_psk_user(struct service_config *c, const char *value, struct err *e)
{
    if (strchr(value, ':') != NULL || strlen(value) > TLS_NAME_MAX) {
        return err_set(e, -EINVAL,
                       "\"%.100s\": allowed: a user name of the file of tls-psk, at "
                       "most %d bytes, no colon",
                       value, TLS_NAME_MAX);
    }
    return config_text_keep(&c->tls.psk_user, value, e);
}

int
config_net_set_plain_tcp(struct service_config *c, const char *value, struct err *e)
{
    if (config_text_switch(value, &c->tls.is_plain_tcp_ok) < 0) {
        return err_set(e, -EINVAL, "\"%.100s\": allowed: on, off", value);
    }
    return 0;
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
            return err_set(e, -EINVAL,
                           "others cannot connect to %s; give announce an address that "
                           "they can use",
                           c->listen[i].text);
        }
    }
    for (unsigned i = 0; !c->has_announce_control && i < c->nr_net_control; i++) {
        if (is_any_address(&c->net_control[i])) {
            return err_set(e, -EINVAL,
                           "others cannot connect to %s; give announce-control an "
                           "address that they can use",
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
                           "disk %s: peers-allowed: without TLS or vsock peers have no "
                           "names; give tls-certificates or tls-psk",
                           c->disks[i].name);
        }
    }
    return 0;
}

int
config_net_check(const struct service_config *c, struct err *e)
{
    if (check_tls(&c->tls, e) < 0 ||
        check_listeners(c, c->listen, c->nr_listen, e) < 0 ||
        check_listeners(c, c->announce, c->nr_announce, e) < 0 ||
        check_controls(c, c->net_control, c->nr_net_control, e) < 0 ||
        check_controls(c, c->peers, c->nr_peers, e) < 0 ||
        check_controls(c, &c->heir, c->has_heir ? 1 : 0, e) < 0 ||
        check_announced(c, e) < 0 || check_allow_lists(c, e) < 0) {
        return -EINVAL;
    }
    return tls_check(&c->tls, true, e);
}
