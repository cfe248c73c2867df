/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread runs the handoffs, because nothing can wait for one of them and for a
 * signal; the caller waits for both. A thread that does not end in time is left behind:
 * the process ends soon. */
#include "give_away.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "disk.h"
#include "handoff_all.h"
#include "log.h"
#include "owner_find.h"
#include "service.h"

#define EACH_DEADLINE_NS (5 * NS_PER_S) /* of HOLD..FLUSH, as the command's default */
#define ABORT_NS NS_PER_S               /* for a handoff to be rolled back */
#define FAREWELL_NS (3 * NS_PER_S)      /* for clients to ask where the disks are */
#define LOOK_AGAIN_NS (50 * NS_PER_MS)  /* whether they have */
#define HEIR_NS (500 * NS_PER_MS)       /* for the heir to say its id */

/* Of the one that there is; static, because the thread may outlive the caller. */
static struct will {
    int done_fd;          /* eventfd, written when the thread has ended */
    _Atomic bool is_over; /* begin no other; seq_cst, no speed is needed */
} will;

static void
tell_those_that_stay(struct service *s, const json_t *stayed)
{
    for (size_t i = 0; i < json_array_size(stayed); i++) {
        const json_t *one = json_array_get(stayed, i);

        log_warn("%s is not handed to %s: %s",
                 json_string_value(json_object_get(one, "target")), s->cfg->heir.text,
                 json_string_value(json_object_get(one, "reason")));
    }
}

static void *
give_all(void *arg)
{
    const uint64_t one = 1;
    struct service *s = arg;
    const struct handoff_all_request rq = {.to = s->cfg->heir.text,
                                           .deadline_ns = EACH_DEADLINE_NS,
                                           .budget_ns = CLOCK_NEVER,
                                           .parallel = HANDOFF_ALL_PARALLEL,
                                           .is_over = &will.is_over};
    json_t *report = NULL;
    struct err e = {0};
    int rc = handoff_all(s, &rq, NULL, NULL, &e, &report);

    if (rc < 0) {
        log_warn("nothing is handed to %s: %s", s->cfg->heir.text, err_text(&e, rc));
    }
    tell_those_that_stay(s, json_object_get(report, "stayed"));
    json_decref(report);
    if (write(will.done_fd, &one, sizeof one) < 0) {
        log_warn("the end of the handoffs cannot be signalled; waiting for the time "
                 "limit"); /* then time tells */
    }
    return NULL;
}

/* Until fd or stop_fd can be read (-1: none), or deadline_ns. Is it fd? */
static bool
await(int fd, int stop_fd, uint64_t deadline_ns)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                            {.fd = stop_fd, .events = POLLIN}};

    while (poll(fds, 2, clock_poll_ms(deadline_ns)) < 0 && errno == EINTR) {
    }
    return fds[0].revents != 0;
}

/* Who the heir is among the clients; "" when it does not say, or knows no disk of ours.
 */
static void
ask_heir_id(struct service *s, char *id, size_t size)
{
    const uint64_t deadline_ns = clock_deadline_ns(HEIR_NS);
    bool is_unknown = true;

    id[0] = '\0';
    for (unsigned i = 0; i < s->nr_disks && is_unknown; i++) {
        struct disk *d = &s->disks[i];
        struct owner_answer w;

        if (disk_record(d).role == ROLE_OWNER &&
            owner_find_ask(s->cfg->heir.text, NULL, d->cfg->name, deadline_ns, NULL,
                           &is_unknown, &w) == 0) {
            (void)snprintf(id, size, "%s", w.id);
            return;
        }
    }
}

/* What nr_told of each disk will be when its clients have asked. They may have lost
 * their channels already when the disk has been given. The heir never asks: it owns the
 * disk then. */
static void
count_clients(struct service *s, unsigned *nr_told)
{
    char heir[37];

    ask_heir_id(s, heir, sizeof heir);
    for (unsigned i = 0; i < s->nr_disks; i++) {
        struct disk *d = &s->disks[i];

        nr_told[i] = atomic_load_explicit(&d->nr_told, memory_order_relaxed);
        if (disk_redir(d) != NULL) {
            nr_told[i] += session_table_nr_connected(d->sessions, heir);
        }
    }
}

static bool
have_asked(struct service *s, const unsigned *nr_told)
{
    for (unsigned i = 0; i < s->nr_disks; i++) {
        struct disk *d = &s->disks[i];

        if (disk_record(d).role == ROLE_GIVEN &&
            atomic_load_explicit(&d->nr_told, memory_order_relaxed) < nr_told[i]) {
            return false;
        }
    }
    return true;
}

/* Clients of a disk that was given come and ask where it is. Answers are counted, not
 * clients: one that asks twice may cost another its answer, and a client that is gone
 * or idle costs the time. */
static void
await_followers(struct service *s, const unsigned *nr_told, int stop_fd)
{
    const uint64_t deadline_ns = clock_deadline_ns(FAREWELL_NS);
    bool is_last = false, is_told = false;

    while (!is_last && clock_now_ns() < deadline_ns) {
        struct pollfd fd = {.fd = stop_fd, .events = POLLIN};

        is_last = have_asked(s, nr_told); /* the last answer is on its way */
        if (!is_last && !is_told) {
            log_info("waiting for up to %d s: clients have not asked yet where their "
                     "disks are now",
                     (int)(FAREWELL_NS / NS_PER_S));
            is_told = true;
        }
        if (poll(&fd, 1, clock_poll_ms(clock_deadline_ns(LOOK_AGAIN_NS))) > 0) {
            return; /* not wanted any more */
        }
    }
}

void
give_away(struct service *s, int stop_fd, uint64_t deadline_ns)
{
    unsigned *nr_told = calloc(s->nr_disks, sizeof *nr_told);
    pthread_t thread;

    will.done_fd = eventfd(0, EFD_CLOEXEC);
    if (nr_told != NULL) {
        count_clients(s, nr_told);
    }
    if (s->nr_disks == 0 || nr_told == NULL || will.done_fd < 0 ||
        pthread_create(&thread, NULL, give_all, s) != 0) {
        log_warn("nothing can be handed over: no thread, no memory, or no disk");
        free(nr_told);
        return;
    }
    (void)pthread_detach(thread);
    if (!await(will.done_fd, stop_fd, deadline_ns)) {
        log_warn("aborting the handoffs: they take too long, or the service was told "
                 "to stop again");
        atomic_store(&will.is_over, true);
        handoff_all_abort(s);
        (void)await(will.done_fd, -1, clock_deadline_ns(ABORT_NS)); /* either way */
    } else {
        await_followers(s, nr_told, stop_fd);
    }
    free(nr_told);
}
