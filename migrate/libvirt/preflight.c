/* SPDX-License-Identifier: BSD-3-Clause */
#include "preflight.h"

#include <errno.h>
#include <string.h>

#include "virt.h"

static const char *
member(const json_t *report, const char *name)
{
    const char *text = json_string_value(json_object_get(report, name));

    return text != NULL ? text : "?";
}

int
preflight_versions(const json_t *here, const json_t *there, struct err *e)
{
    const char *mine = member(here, "version"), *its = member(there, "version");
    const size_t len = strcspn(mine, ".");

    if (strcspn(its, ".") == len && memcmp(mine, its, len) == 0) {
        return 0;
    }
    return err_set(e, -EPROTO,
                   "%.63s runs Baton %.31s and %.63s runs Baton %.31s; these versions "
                   "do not work together",
                   member(here, "service"), mine, member(there, "service"), its);
}

int
preflight_memory(struct virt *v, const char *domain, const char *dest, struct err *e)
{
    unsigned long long need_kib = 0, spare_kib = 0;
    struct virt *there = NULL;
    int rc = virt_memory_of(v, domain, e, &need_kib);

    if (rc < 0) {
        return rc;
    }
    rc = virt_open(dest, e, &there);
    if (rc < 0) {
        return rc;
    }
    rc = virt_spare_memory(there, e, &spare_kib);
    virt_close(there);
    if (rc < 0 || spare_kib >= need_kib) {
        return rc;
    }
    return err_set(
        e, -ENOMEM,
        "%s needs %llu MiB of memory, and the host at %s has only %llu MiB free",
        domain, need_kib / 1024, dest, spare_kib / 1024);
}
