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
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "disk.h"
#include "handoff.h"
#include "log.h"
#include "service.h"

#define EACH_DEADLINE_NS (5 * NS_PER_S) /* of HOLD..FLUSH, as the command's default */
#define ABORT_NS NS_PER_S               /* for a handoff to be rolled back */
#define FAREWELL_NS NS_PER_S            /* for clients to ask where the disks are */

/* Of the one that there is; static, because the thread may outlive the caller. */
static struct will {
    int done_fd;           /* eventfd, written when the thread has ended */
    _Atomic bool is_over;  /* begin no other; seq_cst, no speed is needed */
    _Atomic unsigned next; /* disk that the thread is at; seq_cst as well */
} will;

static void
target_of(const struct disk *d, char *buf, size_t size)
{
    (void)snprintf(buf, size, "%s%s", d->cfg->vm[0] != '\0' ? "vm:" : "",
                   d->cfg->vm[0] != '\0' ? d->cfg->vm : d->cfg->name);
}

/* Was the VM of this disk dealt with at an earlier one? */
static bool
is_of_earlier(const struct service *s, unsigned at)
{
    for (unsigned i = 0; i < at && s->disks[at].cfg->vm[0] != '\0'; i++) {
        if (strcmp(s->disks[i].cfg->vm, s->disks[at].cfg->vm) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_any_ours(struct service *s, const struct disk *d)
{
    bool is_ours = false;

    for (unsigned i = 0; i < s->nr_disks; i++) {
        struct disk *other = &s->disks[i];

        if (other == d ||
            (d->cfg->vm[0] != '\0' && strcmp(other->cfg->vm, d->cfg->vm) == 0)) {
            is_ours = is_ours || disk_record(other).role == ROLE_OWNER;
        }
    }
    return is_ours;
}

static void
give_one(struct service *s, const struct disk *d)
{
    char target[NAME_MAX_LEN + 8];
    const struct handoff_request rq = {.target = target,
                                       .to = s->cfg->heir.text,
                                       .deadline_ns = EACH_DEADLINE_NS,
                                       .budget_ns = CLOCK_NEVER};
    json_t *report = NULL;
    struct err e = {0};
    int rc;

    target_of(d, target, sizeof target);
    rc = handoff_run(s, &rq, NULL, NULL, &e, &report);
    json_decref(report);
    if (rc < 0) {
        log_warn("%s is not handed to %s: %s", target, s->cfg->heir.text,
                 err_text(&e, rc));
    }
}

static void *
give_all(void *arg)
{
    const uint64_t one = 1;
    struct service *s = arg;

    for (unsigned i = 0; i < s->nr_disks && !atomic_load(&will.is_over); i++) {
        atomic_store(&will.next, i);
        if (!is_of_earlier(s, i) && is_any_ours(s, &s->disks[i])) {
            give_one(s, &s->disks[i]);
        }
    }
    if (write(will.done_fd, &one, sizeof one) < 0) {
        log_warn("cannot say that the handoffs have ended"); /* then time tells */
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

static bool
has_clients(struct service *s)
{
    for (unsigned i = 0; i < s->nr_disks; i++) {
        if (disk_redir(&s->disks[i]) != NULL &&
            disk_record(&s->disks[i]).role == ROLE_GIVEN &&
            session_table_has_lanes(s->disks[i].sessions)) {
            return true;
        }
    }
    return false;
}

static void
abort_present(struct service *s)
{
    char target[NAME_MAX_LEN + 8];
    struct err ignored = {0}; /* there is none, or it is committed: as good */

    atomic_store(&will.is_over, true);
    target_of(&s->disks[atomic_load(&will.next)], target, sizeof target);
    (void)handoff_abort(s, target, &ignored);
}

void
give_away(struct service *s, int stop_fd, uint64_t deadline_ns)
{
    pthread_t thread;

    will.done_fd = eventfd(0, EFD_CLOEXEC);
    if (s->nr_disks == 0 || will.done_fd < 0 ||
        pthread_create(&thread, NULL, give_all, s) != 0) {
        log_warn("nothing can be handed over: no thread, or no disk");
        return;
    }
    (void)pthread_detach(thread);
    if (!await(will.done_fd, stop_fd, deadline_ns)) {
        log_warn("handing over takes too long, or is not wanted any more");
        abort_present(s);
        (void)await(will.done_fd, -1, clock_deadline_ns(ABORT_NS)); /* either way */
    } else if (has_clients(s)) {
        (void)await(-1, stop_fd, clock_deadline_ns(FAREWELL_NS)); /* either way */
    }
}
