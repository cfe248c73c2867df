/* SPDX-License-Identifier: BSD-3-Clause */
/* The next owner's side of a handoff. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "disk_durability.h"
#include "disk_ownership.h"
#include "owner_find.h"
#include "peer_rig.h"
#include "suite.h"

START_TEST(an_assignment_is_confirmed_while_the_disk_is_busy_going_on)
{
    struct service_config c;
    struct service *s;

    rig_new_device("d", 65536);
    rig_configure(&c, "y", "d", ",role=standby");
    s = rig_start(&c);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 2), 1);
    /* The giver has crashed and asks again, while we are handing the disk back to it
     * and cannot go on before it has its answer. */
    ck_assert_int_eq(disk_claim(&s->disks[0], "a handoff", NULL), 0);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 2), 1);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 3), -EBUSY);
    disk_unclaim(&s->disks[0]);
    rig_end(s);
    service_config_done(&c);
}
END_TEST

START_TEST(who_flushed_is_said_at_this_epoch_and_forgotten_at_the_next)
{
    struct service_config c;
    struct service *s;
    struct record next;
    char text[CHANNEL_OWNER_MAX], expected[CHANNEL_OWNER_MAX];
    struct channel_owner us = {.epoch = 2, .flushed_by = "x.1"};

    rig_new_device("d", 65536);
    rig_configure(&c, "y", "d", ",role=standby");
    s = rig_start(&c);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 2), 1);
    disk_instance(&s->disks[0], us.instance);
    (void)channel_owner_format(&us, expected);
    disk_statement(&s->disks[0], 2, text);
    ck_assert_str_eq(text, expected);
    next = disk_next_record(&s->disks[0], ROLE_OWNER, 3); /* taken by force, or back */
    ck_assert_str_eq(next.flushed_by, "");
    disk_statement(&s->disks[0], 3, text); /* before that it is not known */
    ck_assert_ptr_nonnull(strstr(text, ";epoch=3;flushed-by=-"));
    rig_end(s);
    service_config_done(&c);
}
END_TEST

START_TEST(what_was_refused_stays_refused)
{
    struct service_config c;
    struct service *s;

    rig_configure(&c, "y", "missing", ",role=standby");
    s = rig_start(&c);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 2), 0);
    rig_new_device("missing", 65536);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 2), 0);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 3), 1);
    rig_end(s);
    service_config_done(&c);
}
END_TEST

START_TEST(what_was_refused_stays_refused_after_a_restart)
{
    static const char other[] = "11111111-2222-3333-4444-555555555556";
    struct service_config c;
    struct service *s;

    rig_configure(&c, "y", "missing", ",role=standby");
    s = rig_start(&c);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 7), 0);
    rig_end(s);
    rig_new_device("missing", 65536);
    s = rig_start(&c);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 7), 0); /* it was delayed on its way */
    ck_assert_int_eq(disk_record(&s->disks[0]).role, ROLE_STANDBY);
    ck_assert_int_eq(rig_assign(s, other, 2), 1); /* of that nothing was promised */
    rig_end(s);
    s = rig_start(&c);
    ck_assert_int_eq(disk_record(&s->disks[0]).role, ROLE_OWNER);
    rig_end(s);
    service_config_done(&c);
}
END_TEST

START_TEST(a_refusal_that_cannot_be_written_down_is_none)
{
    struct service_config c;
    struct service *s;
    char text[256];

    rig_configure(&c, "y", "missing", ",role=standby");
    s = rig_start(&c);
    (void)snprintf(text, sizeof text, "rm -r %s/y.state/disk", rig_dir);
    ck_assert_int_eq(system(text), 0); /* nothing can be written there any more */
    ck_assert_int_lt(rig_assign(s, RIG_UUID, 2), 0);
    ck_assert_uint_eq(disk_record(&s->disks[0]).refused_epoch, 0);
    rig_end(s);
    service_config_done(&c);
}
END_TEST

START_TEST(who_is_asked_says_what_its_record_says)
{
    json_t *params = json_pack("{s:s}", "uuid", RIG_UUID), *result = NULL;
    struct service_config c;
    struct service *s;
    struct err e = {0};

    rig_new_device("d", 65536);
    rig_configure(&c, "y", "d", ",role=standby");
    s = rig_start(&c);
    ck_assert_int_eq(owner_find_answer(s, NULL, params, &e, &result), -ENOENT);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 2), 1);
    ck_assert_int_eq(owner_find_answer(s, NULL, params, &e, &result), 0);
    ck_assert_str_eq(json_string_value(json_object_get(result, "role")), "owner");
    ck_assert_int_eq(json_integer_value(json_object_get(result, "epoch")), 2);
    ck_assert_str_eq(json_string_value(json_object_get(result, "owner")), "y");
    json_decref(result);
    (void)json_object_set_new(params, "uuid", json_string("nonsense"));
    ck_assert_int_eq(owner_find_answer(s, NULL, params, &e, &result), -EBADMSG);
    json_decref(params);
    rig_end(s);
    service_config_done(&c);
}
END_TEST

START_TEST(a_device_that_cannot_replace_ours_is_refused_not_a_crash)
{
    struct service_config c;
    json_t *params = rig_batch(RIG_UUID, 4), *result = NULL;
    struct record next;
    struct service *s;
    struct err e = {0};

    rig_new_device("d", 65536);
    rig_configure(&c, "y", "d", ",role=standby");
    s = rig_start(&c);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 2), 1);
    next = disk_next_record(&s->disks[0], ROLE_GIVEN, 3);
    disk_set_record(&s->disks[0], &next);
    ck_assert_int_eq(redir_hold(s->disks[0].redir), 0);
    ck_assert_int_eq(redir_drain(s->disks[0].redir, CLOCK_NEVER), 0);
    disk_eject(&s->disks[0]);
    rig_new_device("d", 131072); /* our clients were promised 64k */
    json_object_set_new(
        json_object_get(json_array_get(json_object_get(params, "disks"), 0), "info"),
        "size", json_integer(131072));
    ck_assert_int_lt(takeover_prepare(s, NULL, params, &e, &result), 0);
    rig_new_device("d", 32768);
    ck_assert_int_eq(rig_assign(s, RIG_UUID, 4), 0);
    json_decref(params);
    rig_end(s);
    service_config_done(&c);
}
END_TEST

START_TEST(an_owner_that_is_refused_at_its_first_start_leaves_no_record)
{
    struct service_config first, second;
    struct service *s, *other = NULL;
    struct err e = {0};

    rig_new_device("d", 65536);
    rig_configure(&first, "x", "d", "");
    rig_configure(&second, "y", "d", "");
    s = rig_start(&first);
    ck_assert_int_lt(service_new(&second, -1, &e, &other), 0); /* it is locked */
    service_config_done(&second);
    rig_configure(&second, "y", "d", ",role=standby");
    other = rig_start(&second);
    ck_assert_int_eq(disk_record(&other->disks[0]).role, ROLE_STANDBY);
    rig_end(other);
    rig_end(s);
    service_config_done(&first);
    service_config_done(&second);
}
END_TEST

SUITE("peer") = {
    CASE("peer", .setup = rig_set_up, .teardown = rig_tear_down),
    TEST(who_flushed_is_said_at_this_epoch_and_forgotten_at_the_next),
    TEST(an_assignment_is_confirmed_while_the_disk_is_busy_going_on),
    TEST(what_was_refused_stays_refused),
    TEST(what_was_refused_stays_refused_after_a_restart),
    TEST(a_refusal_that_cannot_be_written_down_is_none),
    TEST(who_is_asked_says_what_its_record_says),
    TEST(a_device_that_cannot_replace_ours_is_refused_not_a_crash),
    TEST(an_owner_that_is_refused_at_its_first_start_leaves_no_record),
};
