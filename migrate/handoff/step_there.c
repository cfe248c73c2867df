/* SPDX-License-Identifier: BSD-3-Clause */
#include "step_there.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "job_call.h"
#include "owner_find.h"

#define ANSWER_NS (30 * NS_PER_S) /* as peer.prepare */
#define FIND_NS (5 * NS_PER_S)    /* who has it, for the sentence */

static int
refuse_elsewhere(struct job *j, struct disk *d, const struct record *rec, struct err *e)
{
    struct err ignored = {0};
    struct owner_answer w;
    char owner[RECORD_URI_LEN] = "";

    if (rec->role == ROLE_GIVEN) {
        int rc = owner_find(j->service, rec, false, clock_deadline_ns(FIND_NS),
                            &ignored, &w);

        if (rc == 0 || rc == -EALREADY) { /* the latter: as the record says */
            (void)snprintf(owner, sizeof owner, ": %s owns it",
                           rc == 0 ? w.service : rec->peer_name);
        }
    }
    return err_set(e, -EREMOTE,
                   "%s of %s is owned neither by %s nor at %s%s; hand it over first, "
                   "or hand over one by one the disks that are owned here",
                   d->cfg->name, j->target, j->service->cfg->name, j->to.text, owner);
}

static int
look_at(struct job *j, struct disk *d, struct err *e)
{
    struct record rec = disk_record(d);
    const struct job_question q = {
        .method = "peer.where",
        .params = rec.uuid[0] != '\0' ? json_pack("{s:s}", "uuid", rec.uuid)
                                      : json_pack("{s:s}", "disk", d->cfg->name),
        .timeout_ns = ANSWER_NS};
    json_t *answer = NULL;
    int code = 0;
    int rc = job_call(j, &q, e, &code, &answer);
    const char *role = json_string_value(json_object_get(answer, "role"));

    if (rc == -ENOENT ||
        (rc == 0 && (role == NULL || strcmp(role, role_name(ROLE_OWNER)) != 0))) {
        rc = refuse_elsewhere(j, d, &rec, e);
    }
    json_decref(answer);
    return rc;
}

int
step_there_look(struct job *j, struct err *e)
{
    for (unsigned i = 0; i < j->nr_there; i++) {
        int rc = look_at(j, j->there[i], e);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}
