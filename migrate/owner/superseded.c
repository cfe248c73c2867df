/* SPDX-License-Identifier: BSD-3-Clause */
#include "superseded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "clock.h"
#include "log.h"
#include "owner_word.h"
#include "service.h"

#define PATIENCE_NS NS_PER_S
#define LEAST_PATIENCE_NS (100 * NS_PER_MS)

struct look {
    char uri[RECORD_URI_LEN];
    json_t *status; /* NULL: no answer */
    LIST_ENTRY(look) link;
};

struct superseded_looks {
    uint64_t patience_ns; /* that is left */
    LIST_HEAD(, look) list;
};

void
superseded_looks_free(struct service *s)
{
    struct look *l;

    while (s->looks != NULL && (l = LIST_FIRST(&s->looks->list)) != NULL) {
        LIST_REMOVE(l, link);
        json_decref(l->status);
        free(l);
    }
    free(s->looks);
    s->looks = NULL;
}

static void
ask(struct superseded_looks *looks, struct look *l)
{
    uint64_t ns =
        looks->patience_ns > LEAST_PATIENCE_NS ? looks->patience_ns : LEAST_PATIENCE_NS;
    uint64_t began_ns = clock_now_ns(), took_ns;
    struct err e = {{0}};

    if (owner_word_ask(l->uri, began_ns + ns, &e, &l->status) < 0) {
        l->status = NULL; /* unreachable is no news: the record decides */
    }
    took_ns = clock_now_ns() - began_ns;
    looks->patience_ns -= took_ns < looks->patience_ns ? took_ns : looks->patience_ns;
}

/* What the service at uri said, asked once. NULL when it does not answer. */
static json_t *
look_at(struct service *s, const char *uri)
{
    struct look *l;

    if (s->looks == NULL) {
        s->looks = calloc(1, sizeof *s->looks);
        if (s->looks == NULL) {
            return NULL;
        }
        s->looks->patience_ns = PATIENCE_NS;
        LIST_INIT(&s->looks->list);
    }
    LIST_FOREACH(l, &s->looks->list, link)
    {
        if (strcmp(l->uri, uri) == 0) {
            return l->status;
        }
    }
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    (void)snprintf(l->uri, sizeof l->uri, "%s", uri);
    ask(s->looks, l);
    LIST_INSERT_HEAD(&s->looks->list, l, link);
    return l->status;
}

static int
stand_down(struct disk *d, const struct record *rec, const struct owner_word *o,
           struct err *e)
{
    struct record next = disk_next_record(d, ROLE_STANDBY, o->epoch);
    bool is_committed = false;
    int rc;

    next.superseded = rec->epoch;
    next.forced_epoch = o->forced_epoch <= o->epoch ? o->forced_epoch : 0;
    if (o->service[0] != '\0') {
        (void)snprintf(next.peer_name, sizeof next.peer_name, "%s", o->service);
    }
    rc = record_commit(d->service->records, &next, 1, e, &is_committed);
    if (rc < 0 && !is_committed) {
        return rc;
    }
    disk_set_record(d, &next);
    log_warn("%s is superseded: it was owned here at epoch %" PRIu64
             ", and %s knows of epoch %" PRIu64
             "; it is not served here, and VMs that used it through %s must be started "
             "anew at its owner; see baton recover %s",
             rec->name, rec->epoch, next.peer_name, o->epoch, d->service->cfg->name,
             rec->name);
    return 1;
}

int
superseded_at_start(struct disk *d, const struct record *rec, struct err *e)
{
    struct owner_word o = {.kind = WORD_SILENT};
    json_t *status;

    if (rec->peer_control[0] == '\0') {
        return 0;
    }
    status = look_at(d->service, rec->peer_control);
    if (status == NULL) {
        return 0;
    }
    owner_word_read(status, rec, &o);
    if (owner_word_find_newer(rec, d->service->cfg->name, &o, 1) != NULL) {
        return stand_down(d, rec, &o, e);
    }
    if (o.kind == WORD_ROLE && o.role == ROLE_OWNER) {
        log_warn("%s is contested: %s still claims it at epoch %" PRIu64
                 ", it is owned here since epoch %" PRIu64 "; see baton recover %s",
                 rec->name, o.service, o.epoch, rec->epoch, rec->name);
    }
    return 0;
}
