/* SPDX-License-Identifier: BSD-3-Clause */
#include "mend.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "descriptors.h"
#include "device_check.h"
#include "device_wait.h"
#include "disk.h"
#include "disk_failed.h"
#include "disk_start.h"
#include "handoff.h"
#include "log.h"
#include "service.h"
#include "superseded.h"

#define FIRST_WAIT_NS (100 * NS_PER_MS)
#define LAST_WAIT_NS (5 * NS_PER_S)

/* Is there something new to say of it? */
static bool
try(struct disk *d)
{
    struct err e = {{0}};
    int rc = descriptors_check(&e);

    if (rc == 0) {
        rc = disk_start(d, &e);
    }
    if (rc < 0) {
        device_keep(d);
    }
    return disk_failed_set(d, rc < 0 ? err_text(&e, rc) : "");
}

static void
tell(struct disk *d)
{
    struct err e = {{0}};

    if (disk_failed_is(d, &e)) {
        log_error("%s; trying again", e.msg);
    } else {
        log_info("%s is served now, as %s", d->cfg->name,
                 role_name(disk_record(d).role));
    }
}

void
mend_first_try(struct disk *d)
{
    (void)try(d); /* told by mend_start(), if the service starts at all */
}

int
mend_check(struct service *s, struct err *e)
{
    for (unsigned i = 0; i < s->nr_disks; i++) {
        if (!disk_failed_is(&s->disks[i], NULL) ||
            disk_record(&s->disks[i]).epoch != 0) {
            return 0;
        }
    }
    if (s->nr_disks == 0) {
        return 0;
    }
    LK_GUARD(&s->disks[0].lock);
    return err_set(e, -EAGAIN, "%s", disk_locked(&s->disks[0])->trouble);
}

/* A disk that was given away, and could not follow, has to ask the next owner, too. */
static void
welcome(struct service *s, struct disk *d)
{
    struct err e = {{0}};

    if (disk_record(d).role == ROLE_GIVEN && handoff_resume(s, &e) < 0) {
        log_warn("%s: its owner will be asked only after a restart: %s", d->cfg->name,
                 e.msg);
    }
}

/* How many are still in trouble? */
static unsigned
try_all(struct service *s, int watch_fd)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_disks; i++) {
        struct disk *d = &s->disks[i];
        bool is_news;

        if (!disk_failed_is(d, NULL)) {
            continue;
        }
        if (watch_fd >= 0 && !d->cfg->is_nbd) {
            device_wait_watch(watch_fd, d->cfg->device); /* before we look */
        }
        if (disk_failed_claim(d, NULL) < 0) {
            nr++; /* a person is at it */
            continue;
        }
        is_news = try(d);
        disk_unclaim(d);
        if (is_news) {
            tell(d);
        }
        if (disk_failed_is(d, NULL)) {
            nr++;
        } else {
            welcome(s, d);
        }
    }
    superseded_looks_free(s); /* the next time they are asked again */
    return nr;
}

/* Has something appeared, or does somebody want us to hurry? */
static bool
await_news(struct service *s, int watch_fd, uint64_t wait_ns)
{
    struct pollfd p[2] = {{.fd = watch_fd, .events = POLLIN},
                          {.fd = s->mend_fd, .events = POLLIN}};
    char events[4096]; /* what they were is looked at */

    if (poll(p, 2, clock_poll_ms(clock_deadline_ns(wait_ns))) <= 0) {
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        while (p[i].revents != 0 && read(p[i].fd, events, sizeof events) > 0) {
        }
    }
    return true;
}

static void *
mend(void *service)
{
    AUTO_FD int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK); /* -1: only back-off */
    uint64_t wait_ns = FIRST_WAIT_NS;

    while (try_all(service, fd) > 0) {
        if (await_news(service, fd, wait_ns)) { /* a name is there before its device */
            wait_ns = FIRST_WAIT_NS;
        }
        wait_ns = wait_ns < LAST_WAIT_NS / 2 ? 2 * wait_ns : LAST_WAIT_NS;
    }
    return NULL;
}

int
mend_start(struct service *s, struct err *e)
{
    pthread_t thread;
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_disks; i++) {
        if (disk_failed_is(&s->disks[i], NULL)) {
            tell(&s->disks[i]);
            nr++;
        }
    }
    if (nr > 0) {
        s->mend_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* -1: by back-off */
        if (pthread_create(&thread, NULL, mend, s) != 0) {
            return err_set(e, -EAGAIN, "no thread for disks that are tried again");
        }
        (void)pthread_detach(thread);
    }
    return 0;
}
