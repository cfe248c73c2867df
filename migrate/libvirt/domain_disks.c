/* SPDX-License-Identifier: BSD-3-Clause */
#include "domain_disks.h"

#include <errno.h>
#include <string.h>

#include "hook_domain.h"
#include "virt.h"
#include "vm_status.h"

struct search {
    const char *domain;
    const json_t *report;
    const char *role;
    bool is_running;
    json_t *disks;
};

static bool
has_role(const json_t *disk, const char *role)
{
    const char *its = json_string_value(json_object_get(disk, "role"));

    return role == NULL || (its != NULL && strcmp(its, role) == 0);
}

/* A virt_on_domain. */
static int
take_domain(void *opaque, const char *name, bool is_active, const char *xml)
{
    struct search *s = opaque;
    struct hook_domain dom;

    if (strcmp(name, s->domain) != 0 ||
        hook_domain_parse(xml, strlen(xml), NULL, &dom) < 0) {
        return 0;
    }
    s->is_running = is_active;
    for (unsigned i = 0; i < dom.nr; i++) {
        const struct hook_disk *d = &dom.disks[i];
        const json_t *disk;

        if (d->is_backing || !vm_status_is_listener(s->report, d->socket)) {
            continue;
        }
        disk = vm_status_find_disk(s->report, d->name);
        if (disk != NULL && has_role(disk, s->role)) {
            (void)json_array_append(s->disks, json_object_get(disk, "name"));
        }
    }
    hook_domain_done(&dom);
    return 0;
}

int
domain_disks_find(struct virt *v, const char *domain, const json_t *report,
                  const char *role, struct err *e, json_t **ret_disks)
{
    struct search s = {
        .domain = domain, .report = report, .role = role, .disks = json_array()};
    int rc = virt_each(v, take_domain, &s, e);

    if (rc == 0 && !s.is_running) {
        rc = err_set(e, -ENOENT, "no domain %s runs here", domain);
    }
    if (rc < 0) {
        json_decref(s.disks);
        return rc;
    }
    *ret_disks = s.disks;
    return 0;
}
