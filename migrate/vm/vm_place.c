/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_place.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "disk.h"
#include "owner_find.h"
#include "peers_seen.h"
#include "service.h"

#define ASK_TIMEOUT_NS (2 * NS_PER_S)
#define LONG_NS NS_PER_S

enum vm_seen
vm_place_seen(const struct owner_answer *x, const char *vm_uuid)
{
    return strcmp(x->vm_uuid, vm_uuid) != 0 ? VM_NOWHERE
           : x->vm_runs                     ? VM_RUNS
           : x->nr_vm_open > 0              ? VM_OPEN
           : x->nr_vms > 0                  ? VM_AWAITED
                                            : VM_ANNOUNCED;
}

void
vm_place_add(struct vm_place *p, enum vm_seen seen, const struct owner_answer *x,
             const char *control)
{
    if (seen == VM_NOWHERE || seen < p->seen) {
        return;
    }
    if (seen == p->seen) {
        p->is_ambiguous = p->is_ambiguous || strcmp(p->id, x->id) != 0;
        return;
    }
    p->seen = seen;
    p->is_ambiguous = false;
    memcpy(p->id, x->id, sizeof p->id);
    memcpy(p->service, x->service, sizeof p->service);
    (void)snprintf(p->control, sizeof p->control, "%s", control);
}

/* Ask one service about every disk. False: it does not answer. */
static bool
ask_one(struct service *s, const char *vm_uuid, struct disk *const *disks, unsigned nr,
        const char *control, struct vm_news *news)
{
    for (unsigned i = 0; i < nr; i++) {
        bool is_unknown = false;
        struct record rec;
        struct owner_answer x;

        if (disks[i] == NULL) {
            continue;
        }
        rec = disk_record(disks[i]);
        if (owner_find_ask(control, rec.uuid, NULL, clock_deadline_ns(ASK_TIMEOUT_NS),
                           NULL, &is_unknown, &x) < 0) {
            if (is_unknown) {
                continue; /* so no VM has opened it there */
            }
            return false;
        }
        if (strcmp(x.id, record_dir_service_id(s->records)) == 0) {
            return true; /* that is us */
        }
        vm_place_add(&news->places[i], vm_place_seen(&x, vm_uuid), &x, control);
        news->seen =
            news->places[i].seen > news->seen ? news->places[i].seen : news->seen;
    }
    return true;
}

void
vm_place_look(struct service *s, const char *vm_uuid, struct disk *const *disks,
              unsigned nr, struct vm_news *ret_news)
{
    char controls[PEERS_SEEN_ALL_MAX][RECORD_URI_LEN];
    const unsigned nr_controls = peers_seen_all(&s->peers_seen, s->cfg, controls);

    memset(ret_news, 0, sizeof *ret_news);
    for (unsigned i = 0; i < nr_controls; i++) {
        const uint64_t began_ns = clock_now_ns();

        if (peers_seen_is_silent(&s->peers_seen, controls[i])) {
            ret_news->is_silent = true;
        } else if (!ask_one(s, vm_uuid, disks, nr, controls[i], ret_news)) {
            ret_news->is_silent = true;
            if (clock_now_ns() - began_ns > LONG_NS) { /* not a mere refusal */
                peers_seen_note_silent(&s->peers_seen, controls[i]);
            }
        }
    }
}
