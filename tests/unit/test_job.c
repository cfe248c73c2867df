/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may stop a handoff at which stage, and what they are told. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <check.h>

#include "handoff_table.h"
#include "suite.h"

static struct service service;
static struct disk disk;

static void
set_up(void)
{
    ck_assert_int_eq(handoff_table_new(&service.handoffs), 0);
}

static void
tear_down(void)
{
    free(service.handoffs);
}

/* A job of `disk` that nobody runs, in the table. */
static struct job *
new_job(enum job_stage stage)
{
    const struct handoff_request rq = {
        .kind = JOB_HAND_OVER, .target = target_of("", "vda"), .to = "unix:/b"};
    struct job *j = job_alloc(&service, &rq);

    ck_assert_ptr_nonnull(j);
    j->disks[0] = &disk;
    j->nr = 1;
    j->locked_.stage = stage;
    j->locked_.refs = 1;
    LIST_INSERT_HEAD(&service.handoffs->jobs, j, link);
    return j;
}

static void
end_job(struct job *j)
{
    lk_acquire(&service.handoffs->lock);
    LIST_REMOVE(j, link);
    lk_release(&service.handoffs->lock);
    lk_acquire(&j->lock);
    job_locked(j)->is_finished = true;
    cv_broadcast(&j->changed);
    lk_release(&j->lock);
    job_unref(j);
}

static void
await_abandonment(struct job *j)
{
    LK_GUARD(&j->lock);

    while (job_locked(j)->wish != JOB_ABANDON) {
        (void)cv_wait_until(&j->changed, &j->lock, CLOCK_NEVER);
    }
}

static void *
sees_it(void *job)
{
    uint64_t wait_ns = NS_PER_S;

    while (job_back_off(job, &wait_ns)) {
    }
    end_job(job);
    return NULL;
}

static void *
is_answered(void *job)
{
    await_abandonment(job);
    job_set_stage(job, JOB_ANSWERED);
    end_job(job);
    return NULL;
}

static void *
ends_by_itself(void *job)
{
    await_abandonment(job);
    end_job(job);
    return NULL;
}

/* 0 says that the caller has the claims of the disks now. */
static const struct {
    void *(*end)(void *job);
    int rc;
} ends[] = {{sees_it, 0}, {is_answered, -EALREADY}, {ends_by_itself, -EALREADY}};

START_TEST(claims_go_to_who_abandons_only_if_the_job_ended_by_it)
{
    struct job *j = new_job(JOB_COMMITTED);
    struct err e = {{0}};
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, ends[_i].end, j), 0);
    ck_assert_int_eq(handoff_abandon(&service, &disk, &e), ends[_i].rc);
    (void)pthread_join(thread, NULL);
}
END_TEST

START_TEST(nothing_is_abandoned_before_its_commit)
{
    struct job *j = new_job(JOB_COMMITTING);
    struct err e = {{0}};

    ck_assert_int_eq(handoff_abandon(&service, &disk, &e), -EBUSY);
    end_job(j);
    ck_assert_int_eq(handoff_abandon(&service, &disk, &e), -ENOENT);
}
END_TEST

static const int rc_of_abort[JOB_NR_STAGES] = {
    [JOB_OPEN] = 0,
    [JOB_COMMITTING] = -EALREADY,
    [JOB_ROLLING_BACK] = 0, /* it ends with nothing changed anyway */
    [JOB_COMMITTED] = -EALREADY,
    [JOB_ABANDONED] = -EALREADY,
    [JOB_ANSWERED] = -EALREADY,
};

START_TEST(an_abort_is_refused_from_the_commit_on)
{
    struct job *j = new_job((enum job_stage)_i);
    const struct target target = target_of("", "vda");
    struct err e = {{0}};

    j->nr = 0; /* the disk has no redirector */
    ck_assert_int_eq(handoff_ask_abort(&service, &target, &e), rc_of_abort[_i]);
    ck_assert_int_eq(job_is_abort_wanted(j), rc_of_abort[_i] == 0);
    ck_assert_int_eq(job_check(j, &e), rc_of_abort[_i] == 0 ? -ECANCELED : 0);
    end_job(j);
}
END_TEST

START_TEST(a_park_and_a_handoff_are_not_the_same)
{
    struct job *j = new_job(JOB_OPEN);
    const struct handoff_request park = {.kind = JOB_PARK,
                                         .target = target_of("", "vda")},
                                 elsewhere = {.kind = JOB_HAND_OVER,
                                              .target = target_of("", "vda"),
                                              .to = "unix:/c"},
                                 nowhere = {.kind = JOB_HAND_OVER,
                                            .target = target_of("", "vda"),
                                            .to = ""};
    struct err e = {{0}};
    json_t *report = NULL;

    ck_assert_int_eq(handoff_run(&service, &park, NULL, NULL, &e, &report), -EBUSY);
    ck_assert_int_eq(handoff_run(&service, &elsewhere, NULL, NULL, &e, &report),
                     -EBUSY);
    j->kind = JOB_PARK;
    ck_assert_int_eq(handoff_run(&service, &nowhere, NULL, NULL, &e, &report), -EBUSY);
    end_job(j);
}
END_TEST

SUITE("job") = {
    CASE("stop", .setup = set_up, .teardown = tear_down),
    EACH(claims_go_to_who_abandons_only_if_the_job_ended_by_it, ends),
    TEST(nothing_is_abandoned_before_its_commit),
    LOOP(an_abort_is_refused_from_the_commit_on, JOB_NR_STAGES),
    TEST(a_park_and_a_handoff_are_not_the_same),
};
