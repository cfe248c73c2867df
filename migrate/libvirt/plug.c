/* SPDX-License-Identifier: BSD-3-Clause */
#include "plug.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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
    return plug_virt_open(hash != NULL ? uri : NULL, domain, e, ret_p);
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

void
plug_close(struct plug *p)
{
    if (p != NULL) {
        p->ops->close(p);
    }
}

bool
plug_is_file(const struct plug_device *d, const char *path)
{
    struct stat ours, its;

    if (strcmp(path, d->file) == 0) {
        return true;
    }
    if (stat(d->file, &ours) < 0 || stat(path, &its) < 0 ||
        (ours.st_mode & S_IFMT) != (its.st_mode & S_IFMT)) {
        return false;
    }
    return d->is_block ? ours.st_rdev == its.st_rdev
                       : ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

int
plug_look(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
          struct err *e, enum plug_state *ret_state)
{
    return p->ops->look(p, d, deadline_ns, e, ret_state);
}

int
plug_prepare(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
             struct err *e)
{
    return p->ops->prepare != NULL ? p->ops->prepare(p, d, deadline_ns, e) : 0;
}

int
plug_in(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
        struct err *e)
{
    int rc = p->ops->in(p, d, deadline_ns, e);

    assert(rc <= 0);
    return rc;
}

int
plug_out(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
         struct err *e)
{
    int rc = p->ops->out(p, d, deadline_ns, e);

    assert(rc <= 0);
    return rc;
}
