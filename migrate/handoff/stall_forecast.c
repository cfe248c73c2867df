/* SPDX-License-Identifier: BSD-3-Clause */
/* The drain is judged by Little's law: n requests in flight, of which r end in a
 * second, need n / r. No clock is read for a request because of it. */
#include "stall_forecast.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "job_call.h"
#include "job_flush.h"
#include "load.h"

#define WRITE_BACK_NS (120 * NS_PER_S) /* for all that a large cache may hold */
#define LOOK_AGAIN_NS (200 * NS_PER_MS)
#define SHORT_NS (2 * NS_PER_MS) /* a round that has found nothing to write */
#define MAX_ROUNDS 8
#define PING_TIMEOUT_NS (5 * NS_PER_S)

void
forecast_begin(struct job *j)
{
    load_look(j->disks, j->nr, &j->forecast.before);
}

static int
await_flush(struct job *j, struct disk *d, uint64_t deadline_ns, struct err *e)
{
    for (;;) {
        int rc = flusher_wait(
            &d->flusher, clock_earlier(deadline_ns, clock_deadline_ns(LOOK_AGAIN_NS)));

        if (rc == 0) {
            return 0;
        }
        if (rc != -ETIMEDOUT || clock_now_ns() >= deadline_ns) {
            return err_set(e, rc, "%s: the device does not flush: %s", d->cfg->name,
                           err_text(NULL, rc));
        }
        job_detail(j, "%s: writing back what %s has in its caches", d->cfg->name,
                   d->cfg->device);
        rc = job_check(j, e);
        if (rc < 0) {
            return rc;
        }
    }
}

static int
flush_all(struct job *j, uint64_t deadline_ns, struct err *e)
{
    int rc = job_flush_start(j, URGENCY_CONTROL, deadline_ns, e);

    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < j->nr; i++) {
        rc = await_flush(j, j->disks[i], deadline_ns, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Without a flush under HOLD one round is enough: it shows whether the device has lost
 * anything until now, while the next owner, who has it open, would be told of a later
 * loss by its own first flush. */
int
forecast_write_back(struct job *j, struct err *e)
{
    const unsigned rounds = j->shares_cache ? 1 : MAX_ROUNDS;
    uint64_t deadline_ns = clock_deadline_ns(WRITE_BACK_NS);
    uint64_t before_ns = UINT64_MAX;

    for (unsigned round = 0; round < rounds; round++) {
        uint64_t began_ns = clock_now_ns(), took_ns;
        int rc = flush_all(j, deadline_ns, e);

        if (rc < 0) {
            return rc;
        }
        took_ns = clock_now_ns() - began_ns;
        j->forecast.flush_ns = j->shares_cache ? 0 : took_ns;
        if (took_ns <= SHORT_NS || took_ns > before_ns - before_ns / 4) {
            break;
        }
        before_ns = took_ns;
    }
    return 0;
}

/* Of what is under way at the device, the part of the next owner's clients has ended
 * when those have been paused; ours go on meanwhile. */
static uint64_t
predict_drain(struct job *j)
{
    const struct job_forecast *f = &j->forecast;
    struct load now;
    uint64_t drain_ns, theirs;

    load_look(j->disks, j->nr, &now);
    drain_ns = load_drain_ns(&f->before, &now);
    theirs = clock_earlier(f->peer_in_flight, now.in_flight);
    if (now.in_flight > 0) {
        drain_ns = drain_ns / now.in_flight * (now.in_flight - theirs);
    }
    return f->peer_drain_ns + drain_ns;
}

static int
measure_trip(struct job *j, struct err *e)
{
    const struct job_question q = {
        .method = "ping", .params = json_object(), .timeout_ns = PING_TIMEOUT_NS};
    uint64_t began_ns = clock_now_ns();
    json_t *result = NULL;
    int code = 0;
    int rc = job_call_asked(j, &q, e, &code, &result);

    json_decref(result);
    j->forecast.trip_ns = clock_now_ns() - began_ns;
    return rc;
}

int
forecast_check(struct job *j, struct err *e)
{
    struct job_forecast *f = &j->forecast;
    int rc = measure_trip(j, e);

    if (rc < 0) {
        return rc;
    }
    f->drain_ns = predict_drain(j);
    f->trip_ns += j->wants_pause ? f->trip_ns : 0;
    j->predicted_ns = f->drain_ns + f->flush_ns + f->record_ns + f->trip_ns;
    if (j->predicted_ns > j->budget_ns) {
        return err_set(e, -ETIME,
                       "the predicted stall of %" PRIu64 " us (drain %" PRIu64
                       ", flush %" PRIu64 ", record %" PRIu64 ", trip %" PRIu64
                       ") is longer than the budget of %" PRIu64 " us",
                       j->predicted_ns / NS_PER_US, f->drain_ns / NS_PER_US,
                       f->flush_ns / NS_PER_US, f->record_ns / NS_PER_US,
                       f->trip_ns / NS_PER_US, j->budget_ns / NS_PER_US);
    }
    return 0;
}
