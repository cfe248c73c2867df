/* SPDX-License-Identifier: BSD-3-Clause */
#include "recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "disk.h"

struct subject {
    unsigned nr;
    struct disk *disks[GROUP_MAX_DISKS];
    struct recover_facts *facts; /* nr */
    struct recover_verdict *verdicts;
};

static bool
is_meant(const struct subject *t, const struct disk *d)
{
    for (unsigned i = 0; i < t->nr; i++) {
        if (t->disks[i] == d) {
            return true;
        }
    }
    return false;
}

/* A disk that was given at once with the one of rec and would stay behind. */
static const char *
find_mate(struct service *s, const struct subject *t, const struct record *rec)
{
    for (unsigned i = 0; i < s->nr_disks && rec->role == ROLE_GIVEN; i++) {
        struct record other = disk_record(&s->disks[i]);

        if (other.role == ROLE_GIVEN && rec->handoff != 0 &&
            other.handoff == rec->handoff && !is_meant(t, &s->disks[i])) {
            return s->disks[i].cfg->name;
        }
    }
    return NULL;
}

static json_t *
other_json(const struct owner_word *o)
{
    static const char *const words[] = {
        [WORD_NOBODY] = "nobody",   [WORD_SILENT] = "silent",
        [WORD_NO_DISK] = "no-disk", [WORD_OTHER_DISK] = "other-disk",
        [WORD_ROLE] = "answers",
    };
    json_t *j = json_pack("{s:s,s:s,s:s,s:b}", "service", o->service, "uri", o->uri,
                          "word", words[o->kind], "reachable",
                          o->kind != WORD_NOBODY && o->kind != WORD_SILENT);

    if (o->kind == WORD_SILENT) {
        (void)json_object_set_new(j, "reason", json_string(o->why));
    }
    if (o->kind == WORD_ROLE) {
        (void)json_object_set_new(
            j, "role",
            json_string(o->is_superseded ? "superseded" : role_name(o->role)));
        (void)json_object_set_new(j, "epoch", json_integer((json_int_t)o->epoch));
        (void)json_object_set_new(j, "owner", json_string(o->owner));
    }
    return j;
}

static json_t *
here_json(const struct recover_facts *f)
{
    const struct record *r = &f->rec;

    return json_pack("{s:s,s:s,s:I,s:s,s:I,s:s,s:s,s:I,s:I,s:b}", "role",
                     r->superseded != 0 ? "superseded" : role_name(r->role), "uuid",
                     r->uuid, "epoch", (json_int_t)r->epoch, "vm", r->vm, "size",
                     (json_int_t)r->info.size, "peer", r->peer_name, "peer_control",
                     r->peer_control, "since", (json_int_t)f->since, "forced_epoch",
                     (json_int_t)r->forced_epoch, "asking", f->is_asking);
}

static json_t *
device_json(const struct recover_facts *f)
{
    static const char *const devices[] = {[DEVICE_FITS] = "fits",
                                          [DEVICE_MISSING] = "missing",
                                          [DEVICE_DIFFERS] = "differs"};
    static const char *const locks[] = {[LOCK_FREE] = "free",
                                        [LOCK_OURS] = "ours",
                                        [LOCK_HELD] = "held",
                                        [LOCK_NONE] = "none",
                                        [LOCK_UNKNOWN] = "unknown"};

    return json_pack("{s:s,s:s,s:s,s:s,s:s}", "path", f->path, "state",
                     devices[f->device], "reason", f->device_why, "lock",
                     locks[f->lock], "holder", f->lock_why);
}

static json_t *
disk_json(const struct recover_facts *f, const struct recover_verdict *v)
{
    json_t *others = json_array();

    for (unsigned i = 0; i < f->nr_others; i++) {
        (void)json_array_append_new(others, other_json(&f->others[i]));
    }
    return json_pack("{s:s,s:s,s:b,s:I,s:o,s:o,s:o,s:s,s:s,s:s,s:s,s:s}", "disk",
                     f->rec.name, "state", recover_state_name(v->state), "may_take",
                     v->may_take, "next_epoch", (json_int_t)v->next_epoch, "here",
                     here_json(f), "device", device_json(f), "others", others, "means",
                     v->means, "by_itself", v->by_itself, "wait", v->wait, "take",
                     v->take, "elsewhere", v->elsewhere);
}

static int
refusal_errno(enum recover_state s)
{
    return s == RECOVER_IN_USE           ? -EBUSY
           : s == RECOVER_DEVICE_MISSING ? -ENODEV
           : s == RECOVER_DEVICE_DIFFERS ? -EINVAL
                                         : -EPERM;
}

static int
check_take(const struct subject *t, struct err *e)
{
    for (unsigned i = 0; i < t->nr; i++) {
        const struct recover_verdict *v = &t->verdicts[i];

        if (!v->may_take && v->state != RECOVER_OWNER) {
            return err_set(e, refusal_errno(v->state), "refused (%s): %s; %s; %s",
                           recover_state_name(v->state), v->means,
                           t->facts[i].mate != NULL ? v->take : "nothing changed",
                           v->elsewhere);
        }
    }
    return 0;
}

/* Those of the disks that are not ours already. */
static int
take(struct service *s, const struct subject *t, struct err *e, bool *ret_is_taken)
{
    AUTO_FREE struct recover_verdict *verdicts = calloc(t->nr, sizeof *verdicts);
    struct disk *disks[GROUP_MAX_DISKS];
    unsigned nr = 0;
    int rc = check_take(t, e);

    if (rc < 0) {
        return rc;
    }
    if (verdicts == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < t->nr; i++) {
        if (t->verdicts[i].state != RECOVER_OWNER) {
            verdicts[nr] = t->verdicts[i];
            disks[nr++] = t->disks[i];
        }
    }
    *ret_is_taken = nr > 0;
    return nr > 0 ? recover_take(s, disks, nr, verdicts, e) : 0;
}

static void
look(struct service *s, struct subject *t, const char *const *ask, unsigned nr_ask)
{
    for (unsigned i = 0; i < t->nr; i++) {
        recover_gather(t->disks[i], ask, nr_ask, &t->facts[i]);
        t->facts[i].mate = find_mate(s, t, &t->facts[i].rec);
        recover_judge(&t->facts[i], &t->verdicts[i]);
    }
}

static json_t *
disks_json(const struct subject *t)
{
    json_t *disks = json_array();

    for (unsigned i = 0; i < t->nr; i++) {
        (void)json_array_append_new(disks, disk_json(&t->facts[i], &t->verdicts[i]));
    }
    return disks;
}

int
recover_run(struct service *s, const struct recover_question *rq, struct err *e,
            json_t **ret_result)
{
    struct subject t = {.nr = 0};
    bool is_taken = false;
    int rc = service_find_target(s, &rq->target, e, t.disks, &t.nr);

    if (rc < 0 || t.nr == 0) {
        return rc;
    }
    AUTO_FREE struct recover_facts *facts = calloc(t.nr, sizeof *facts);
    AUTO_FREE struct recover_verdict *verdicts = calloc(t.nr, sizeof *verdicts);
    if (facts == NULL || verdicts == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    t.facts = facts;
    t.verdicts = verdicts;
    look(s, &t, rq->ask, rq->nr_ask);
    if (rq->is_take) {
        rc = take(s, &t, e, &is_taken);
        if (rc < 0) {
            return err_prefix(e, rc, "%s", rq->target.text);
        }
    }
    *ret_result =
        json_pack("{s:s,s:s,s:b,s:o}", "service", s->cfg->name, "target",
                  rq->target.text, "taken", is_taken, "disks", disks_json(&t));
    return 0;
}
