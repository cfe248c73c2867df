/* SPDX-License-Identifier: BSD-3-Clause */
/* config_settings.c - the table of a service's settings, and the parsers of those that
 * are of no other file. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_parts.h"
#include "config_text.h"
#include "name.h"
#include "uri.h"

static int
set_name(struct service_config *c, const char *value, struct err *e)
{
    if (c->name[0] != '\0') {
        return config_text_refuse_second(c->name, e);
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
        return config_text_refuse_second(c->state_dir, e);
    }
    return config_text_path(value, e) < 0 ? -EINVAL
                                          : config_text_keep(&c->state_dir, value, e);
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
        return config_text_refuse_second(c->control.text, e);
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

/* A URI of which there is one. */
static int
set_uri(struct uri *uri, bool *has_uri, const char *value, struct err *e)
{
    int rc;

    if (*has_uri) {
        return config_text_refuse_second(uri->text, e);
    }
    rc = uri_parse(value, URI_FOR_CONTROL, e, uri);
    *has_uri = rc == 0;
    return rc;
}

static int
set_heir(struct service_config *c, const char *value, struct err *e)
{
    return set_uri(&c->heir, &c->has_heir, value, e);
}

static int
set_announce_control(struct service_config *c, const char *value, struct err *e)
{
    return set_uri(&c->announce_control, &c->has_announce_control, value, e);
}

static int
make_room(struct service_config *c, const char *place, struct err *e)
{
    unsigned max = c->max_disks == 0 ? 1 : 2 * c->max_disks;
    struct disk_config *disks;

    if (c->nr_disks < c->max_disks) {
        return 0;
    }
    disks = reallocarray(c->disks, max, sizeof *disks);
    if (disks == NULL) {
        return err_set(e, -ENOMEM, "%s: out of memory", place);
    }
    c->disks = disks;
    c->max_disks = max;
    return 0;
}

static int
add_disk(struct service_config *c, const struct config_items *items, const char *place,
         struct err *e)
{
    struct disk_config d;
    int rc;

    if (c->nr_disks == CONFIG_MAX_DISKS) {
        return err_set(e, -EINVAL, "%s: too many disks; allowed: at most %d", place,
                       CONFIG_MAX_DISKS);
    }
    rc = config_disk_build(items, place, e, &d);
    if (rc < 0) {
        return rc;
    }
    rc = make_room(c, place, e);
    if (rc < 0) {
        config_disk_done(&d);
        return rc;
    }
    c->disks[c->nr_disks++] = d;
    return 0;
}

/* In the order in which they are listed. */
const struct config_row config_settings[] = {
    {
        .word = "name",
        .argument = "NAME",
        .form = CONFIG_TEXT,
        .is_in_synopsis = true,
        .help = "(required) name of this service",
        .set = set_name,
    },
    {
        .word = "listen",
        .argument = "URI",
        .form = CONFIG_TEXTS,
        .repeats = true,
        .is_in_synopsis = true,
        .help = "where clients connect",
        .set = set_listen,
    },
    {
        .word = "announce",
        .argument = "URI",
        .form = CONFIG_TEXTS,
        .repeats = true,
        .help = "a listener's address for peers, if that differs",
        .set = set_announce,
    },
    {
        .word = "control",
        .argument = "URI",
        .form = CONFIG_TEXTS,
        .repeats = true,
        .is_in_synopsis = true,
        .help = "control sockets of the service: unix:PATH, and with TLS\n"
                "                 tcp:ADDRESS:PORT",
        .set = set_control,
    },
    {
        .word = "announce-control",
        .argument = "URI",
        .form = CONFIG_TEXT,
        .help = "the tcp control socket's address for peers, if that differs",
        .set = set_announce_control,
    },
    {
        .word = "state-dir",
        .argument = "DIR",
        .form = CONFIG_TEXT,
        .help = "the folder of the records (default: /var/lib/baton/NAME)",
        .parameter_help = "the folder of the service's records",
        .set = set_state_dir,
    },
    {
        .word = "peer",
        .file_word = "peers",
        .argument = "URI",
        .form = CONFIG_TEXTS,
        .repeats = true,
        .help = "a control socket to ask who owns a disk now",
        .set = add_peer,
    },
    {
        .word = "handoff-on-term",
        .argument = "URI",
        .form = CONFIG_TEXT,
        .help = "on SIGTERM give every disk to this service first",
        .set = set_heir,
    },
    {
        .word = "socket-owner",
        .argument = "USER",
        .form = CONFIG_ID,
        .set = config_access_set_owner,
    },
    {
        .word = "socket-group",
        .argument = "GROUP",
        .form = CONFIG_ID,
        .set = config_access_set_group,
    },
    {
        .word = "socket-mode",
        .argument = "MODE",
        .form = CONFIG_TEXT,
        .help = "who may connect to unix listeners (default mode: 0660)",
        .parameter_help = "who may connect to the listeners that baton serve opens",
        .set = config_access_set_mode,
    },
    {
        .word = "control-group",
        .argument = "GROUP",
        .form = CONFIG_ID,
        .help = "a group that may control the service, too (default: none)",
        .set = config_access_set_control,
    },
    {
        .word = "tls-certificates",
        .argument = "DIR",
        .form = CONFIG_TEXT,
        .help = "a folder of certificates that prove who is who",
        .set = config_net_set_certificates,
    },
    {
        .word = "tls-psk",
        .argument = "FILE",
        .form = CONFIG_TEXT,
        .help = "or a file of keys that both sides have (psktool)",
        .set = config_net_set_psk,
    },
    {
        .word = "tls-psk-user",
        .argument = "NAME",
        .form = CONFIG_TEXT,
        .help = "the user whose key is this service's",
        .set = config_net_set_psk_user,
    },
    {
        .word = "insecure-plain-tcp",
        .argument = "on",
        .form = CONFIG_SWITCH,
        .help = "allow tcp beyond loopback without TLS",
        .set = config_net_set_plain_tcp,
    },
    {
        .word = "disk",
        .file_word = "disks",
        .argument = "name=NAME,device=PATH-OR-NBD-URI[,...]",
        .form = CONFIG_GROUPS,
        .repeats = true,
        .is_in_synopsis = true,
        .help = "a disk",
        .add = add_disk,
    },
    {
        .word = "config",
        .argument = "FILE",
        .form = CONFIG_NOT_IN_FILE,
        .help = "a file of the same settings",
    },
    {0},
};

/* A value of KEY=VALUE,...; its parts have places of their own. */
static int
apply_items(struct service_config *c, const struct config_row *row, const char *value,
            const char *where, struct err *e)
{
    struct config_items items = {0};
    int rc = config_items_split(&items, value, where, e);

    if (rc == 0) {
        rc = row->add(c, &items, where, e);
    }
    config_items_done(&items);
    return rc;
}

int
config_settings_apply(struct service_config *c, const struct config_row *row,
                      const char *value, const char *where, struct err *e)
{
    int rc;

    if (row->add != NULL) {
        return apply_items(c, row, value, where, e);
    }
    rc = config_text_check(value, e);
    if (rc == 0) {
        rc = row->set(c, value, e);
    }
    return rc < 0 ? err_prefix(e, rc, "%s", where) : 0;
}
