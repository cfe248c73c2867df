/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_status.h"

#include <string.h>

#include "cli.h"
#include "clock.h"
#include "socket_path.h"

#define ANSWER_NS (10 * NS_PER_S)

int
vm_status_ask(const struct uri *u, const char *disk, struct err *e, json_t **ret_report)
{
    return cli_ask(u, "status", json_pack("{s:s*}", "disk", disk), ANSWER_NS, e, NULL,
                   ret_report);
}

json_t *
vm_status_get(const char *command, const char *at, const char *disk, int *ret_status)
{
    json_t *report = NULL;
    struct err e = {{0}};
    struct uri u;
    int rc;

    *ret_status = cli_find_service(command, at, &u);
    if (*ret_status != CLI_DONE) {
        return NULL;
    }
    rc = vm_status_ask(&u, disk, &e, &report);
    if (rc < 0) {
        *ret_status = cli_refuse(rc, command, "%s", err_text(&e, rc));
        return NULL;
    }
    return report;
}

/* The path of a unix URI; NULL for another one. */
static const char *
unix_path(const json_t *uri)
{
    const char *text = json_string_value(uri);

    return text != NULL && strncmp(text, "unix:", 5) == 0 ? text + 5 : NULL;
}

bool
vm_status_is_listener(const json_t *report, const char *socket)
{
    const json_t *uri;
    size_t i;

    json_array_foreach(json_object_get(report, "listen"), i, uri)
    {
        const char *path = unix_path(uri);

        if (path != NULL && socket_path_is_same(path, socket)) {
            return true;
        }
    }
    return false;
}

const char *
vm_status_first_socket(const json_t *report)
{
    const json_t *uri;
    size_t i;

    json_array_foreach(json_object_get(report, "listen"), i, uri)
    {
        const char *path = unix_path(uri);

        if (path != NULL) {
            return path;
        }
    }
    return NULL;
}

const json_t *
vm_status_find_disk(const json_t *report, const char *name)
{
    const json_t *disks = json_object_get(report, "disks"), *disk;
    size_t i;

    json_array_foreach(disks, i, disk)
    {
        const char *its = json_string_value(json_object_get(disk, "name"));

        if (its != NULL && (strcmp(its, name) == 0 ||
                            (name[0] == '\0' && json_array_size(disks) == 1))) {
            return disk;
        }
    }
    return NULL;
}
