/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_pull.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "peer_ask.h"
#include "service.h"
#include "target.h"

static int
ask_owner(struct service *s, const struct record *rec, const struct target *target,
          uint64_t deadline_ns, struct err *e)
{
    json_t *result = NULL;
    struct uri u;
    int rc = uri_parse(rec->peer_control, URI_FOR_CONTROL, e, &u);

    if (rc < 0) {
        return rc;
    }
    rc = peer_ask(&u, "handoff",
                  json_pack("{s:s,s:s}", "target", target->text, "to",
                            config_control_for(s->cfg, &u)),
                  (struct peer_patience){CLOCK_NEVER, deadline_ns}, e, NULL, &result);
    json_decref(result);
    return rc;
}

int
vm_pull(struct service *s, struct disk *const *disks, unsigned nr, uint64_t deadline_ns,
        struct err *e)
{
    int rc = 0;

    if (!s->cfg->has_control) {
        return err_set(e, -EINVAL, "%s has no control socket", s->cfg->name);
    }
    for (unsigned i = 0; i < nr && rc == 0; i++) {
        struct record rec = disk_record(disks[i]);
        const struct target target = target_of(disks[i]->cfg->vm, rec.name);

        if (rec.role != ROLE_GIVEN) {
            continue; /* ours, or with the group of one before */
        }
        rc = ask_owner(s, &rec, &target, deadline_ns, e);
        if (rc < 0) {
            return err_prefix(e, rc, "%s does not hand %s over", rec.peer_name,
                              target.text);
        }
    }
    return rc;
}
