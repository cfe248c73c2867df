/* SPDX-License-Identifier: BSD-3-Clause */
/* config_access.c - who may connect to a service's unix sockets: their files' owner,
 * group and mode. QEMU seldom runs as root: libvirt has a user and a group for it. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_parts.h"

#define LISTEN_MODE 0660
#define CONTROL_MODE 0600
#define CONTROL_GROUP_MODE 0660
#define NAMES_BUFFER 65536 /* of a group with thousands of members */

void
config_access_init(struct service_config *c)
{
    c->listen_access = (struct uri_access){URI_NOT_GIVEN, URI_NOT_GIVEN, URI_NOT_GIVEN};
    c->control_access = (struct uri_access){URI_NOT_GIVEN, URI_NOT_GIVEN, CONTROL_MODE};
}

void
config_access_complete(struct service_config *c)
{
    if (c->listen_access.mode == URI_NOT_GIVEN) {
        c->listen_access.mode = LISTEN_MODE;
    }
}

static int
refuse_second(const char *value, struct err *e)
{
    return err_set(e, -EINVAL, "is given twice (now: %.100s); allowed: once", value);
}

/* 0 when it is one and below URI_NOT_GIVEN. */
static int
parse_id(const char *text, unsigned *ret_id)
{
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
        n >= URI_NOT_GIVEN) {
        return -EINVAL;
    }
    *ret_id = (unsigned)n;
    return 0;
}

static int
find_owner(const char *text, struct err *e, uid_t *ret_uid)
{
    char buffer[NAMES_BUFFER];
    struct passwd entry, *found = NULL;

    if (parse_id(text, ret_uid) == 0) {
        return 0;
    }
    if (getpwnam_r(text, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL) {
        return err_set(e, -EINVAL,
                       "there is no user \"%.100s\" here; allowed: a user's name or "
                       "number",
                       text);
    }
    *ret_uid = found->pw_uid;
    return 0;
}

static int
find_group(const char *text, struct err *e, gid_t *ret_gid)
{
    char buffer[NAMES_BUFFER];
    struct group entry, *found = NULL;

    if (parse_id(text, ret_gid) == 0) {
        return 0;
    }
    if (getgrnam_r(text, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL) {
        return err_set(e, -EINVAL,
                       "there is no group \"%.100s\" here; allowed: a group's name or "
                       "number",
                       text);
    }
    *ret_gid = found->gr_gid;
    return 0;
}

int
config_access_set_owner(struct service_config *c, const char *value, struct err *e)
{
    if (c->listen_access.owner != URI_NOT_GIVEN) {
        return refuse_second(value, e);
    }
    return find_owner(value, e, &c->listen_access.owner);
}

int
config_access_set_group(struct service_config *c, const char *value, struct err *e)
{
    if (c->listen_access.group != URI_NOT_GIVEN) {
        return refuse_second(value, e);
    }
    return find_group(value, e, &c->listen_access.group);
}

int
config_access_set_mode(struct service_config *c, const char *value, struct err *e)
{
    char *end = NULL;
    unsigned long mode = strtoul(value, &end, 8);

    if (c->listen_access.mode != URI_NOT_GIVEN) {
        return refuse_second(value, e);
    }
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || mode > 0777) {
        return err_set(e, -EINVAL, "\"%.100s\": allowed: octal 0 to 0777", value);
    }
    c->listen_access.mode = (unsigned)mode;
    return 0;
}

int
config_access_set_control(struct service_config *c, const char *value, struct err *e)
{
    int rc;

    if (c->control_access.group != URI_NOT_GIVEN) {
        return refuse_second(value, e);
    }
    rc = find_group(value, e, &c->control_access.group);
    if (rc == 0) {
        c->control_access.mode = CONTROL_GROUP_MODE;
    }
    return rc;
}
