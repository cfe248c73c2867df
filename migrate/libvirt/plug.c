/* SPDX-License-Identifier: BSD-3-Clause */
#include "plug.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

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
