/* SPDX-License-Identifier: BSD-3-Clause */
#include "plug_open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define FORMS "allowed: qmp:PATH, libvirt:DOMAIN, libvirt:URI#DOMAIN"

static int
open_qmp(const char *path, struct err *e, struct plug **ret_p)
{
    if (path[0] != '/' || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return err_set(e, -EINVAL, "qmp:%s: allowed: an absolute path of a socket",
                       path);
    }
    return plug_qmp_open(path, e, ret_p);
}

static int
open_virt(const char *text, struct err *e, struct plug **ret_p)
{
    const char *hash = strrchr(text, '#'), *domain = hash != NULL ? hash + 1 : text;
    char uri[512] = "";

    if (domain[0] == '\0' || hash == text ||
        (hash != NULL && (size_t)(hash - text) >= sizeof uri)) {
        return err_set(e, -EINVAL, "libvirt:%s: " FORMS, text);
    }
    if (hash != NULL) {
        (void)snprintf(uri, sizeof uri, "%.*s", (int)(hash - text), text);
    }
    return virt_plug_open(hash != NULL ? uri : NULL, domain, e, ret_p);
}

int
plug_open(const char *text, struct err *e, struct plug **ret_p)
{
    if (strncmp(text, "qmp:", 4) == 0) {
        return open_qmp(text + 4, e, ret_p);
    }
    if (strncmp(text, "libvirt:", 8) == 0) {
        return open_virt(text + 8, e, ret_p);
    }
    return err_set(e, -EINVAL, "%s: " FORMS, text);
}
