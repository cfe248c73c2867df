/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding the owner among services that say what they are told to say. */
#include <errno.h>
#include <inttypes.h>

#include "clock.h"
#include "owner_find.h"
#include "peer_rig.h"
#include "rpc.h"
#include "suite.h"
#include "uri.h"

#define NR_FAKES 4

static const char *const names[NR_FAKES] = {"a", "b", "c", "d"};

/* A service that answers peer.where with what stands here. */
static struct fake {
    struct rpc_server *server;
    char control[128];
    enum role role;
    uint64_t epoch;
    const char *given_to; /* a control URI, "" when none */
} fakes[NR_FAKES];

static const char *right; /* that every owner tells */
static struct service_config config;
static struct service *me;

static int
fake_where(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
           json_t **ret_result)
{
    const struct fake *f = ctx;
    char id[37];

    (void)call;
    (void)params;
    (void)e;
    (void)snprintf(id, sizeof id, "00000000-0000-0000-0000-00000000000%d",
                   (int)(f - fakes));
    *ret_result =
        json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:[s]}", "service",
                  names[f - fakes], "id", id, "disk", "vda", "role", role_name(f->role),
                  "epoch", (json_int_t)f->epoch, "owner", "", "control", f->given_to,
                  "right", right, "channels", "unix:/owner.nbd");
    return 0;
}

static const struct rpc_method methods[] = {{"peer.where", fake_where}, {NULL, NULL}};

static void
say(unsigned i, enum role role, uint64_t epoch, const char *given_to)
{
    fakes[i].role = role;
    fakes[i].epoch = epoch;
    fakes[i].given_to = given_to;
}

static void
set_up(void)
{
    right = RIG_RIGHT;
    rig_set_up();
    rig_new_device("d", 65536);
    rig_configure(&config, "x", "d", ",role=standby");
    me = rig_start(&config);
    for (unsigned i = 0; i < NR_FAKES; i++) {
        struct err e = {0};
        struct uri u;
        int fd;

        (void)snprintf(fakes[i].control, sizeof fakes[i].control, "unix:%s/%s.ctl",
                       rig_dir, names[i]);
        ck_assert_int_eq(uri_parse(fakes[i].control, URI_FOR_CONTROL_LISTEN, &e, &u),
                         0);
        ck_assert_int_eq(uri_listen(&u, 0600, &e, &fd), 0);
        ck_assert_int_eq(rpc_server_new(fd, methods, &fakes[i], &e, &fakes[i].server),
                         0);
        say(i, ROLE_STANDBY, 0, "");
    }
}

static void
tear_down(void)
{
    for (unsigned i = 0; i < NR_FAKES; i++) {
        rpc_server_free(fakes[i].server);
        fakes[i].server = NULL;
    }
    rig_end(me);
    service_config_done(&config);
    rig_tear_down();
}

/* What a client of a at epoch 2 finds. */
static int
find(bool is_given_up, struct err *e, struct owner_answer *ret_owner)
{
    struct record rec = {
        .role = ROLE_GIVEN, .epoch = 2, .uuid = RIG_UUID, .right = RIG_RIGHT};

    (void)snprintf(rec.peer_control, sizeof rec.peer_control, "%s", fakes[0].control);
    return owner_find(me, &rec, is_given_up, clock_deadline_ns(10 * NS_PER_S), e,
                      ret_owner);
}

static void
expect_owner(unsigned i, uint64_t epoch)
{
    struct err e = {0};
    struct owner_answer w;

    ck_assert_msg(find(false, &e, &w) == 0, "%s", e.msg);
    ck_assert_str_eq(w.service, names[i]);
    ck_assert_str_eq(w.control, fakes[i].control);
    ck_assert_uint_eq(w.epoch, epoch);
    ck_assert_uint_eq(w.nr_channels, 1);
}

static void
expect_none(int rc, const char *fragment)
{
    struct err e = {0};
    struct owner_answer w;

    ck_assert_int_eq(find(false, &e, &w), rc);
    ck_assert_msg(strstr(e.msg, fragment) != NULL, "%s", e.msg);
}

START_TEST(a_chain_is_followed_to_its_end)
{
    say(0, ROLE_GIVEN, 3, fakes[1].control);
    say(1, ROLE_GIVEN, 4, fakes[2].control);
    say(2, ROLE_OWNER, 4, "");
    expect_owner(2, 4);
    say(2, ROLE_OWNER, 9, ""); /* given on and back since */
    expect_owner(2, 9);
}
END_TEST

START_TEST(who_was_given_it_and_does_not_say_so_is_not_believed)
{
    say(0, ROLE_GIVEN, 3, fakes[1].control);
    expect_none(-EAGAIN, "at b it is standby");
    say(1, ROLE_OWNER, 2, ""); /* of a time before */
    expect_none(-EAGAIN, "at b it is owner at epoch 2, and nobody has taken it since "
                         "epoch 3");
    say(1, ROLE_PARKED, 4, "");
    expect_none(-EAGAIN, "parked");
}
END_TEST

START_TEST(an_epoch_that_is_not_above_ours_is_nothing_new)
{
    say(0, ROLE_OWNER, 2, "");
    expect_none(-EALREADY, "as is known");
    say(0, ROLE_OWNER, 1, "");
    expect_none(-EAGAIN, "epoch 1");
    say(0, ROLE_GIVEN, 2, fakes[1].control);
    say(1, ROLE_OWNER, 5, "");
    expect_none(-EAGAIN, "at a it is given at epoch 2");
}
END_TEST

/* As after a restart that could not write it down, or for a record of before. */
START_TEST(an_owner_with_another_right_is_found_again)
{
    right = "00000000000000000000000000000000";
    say(0, ROLE_OWNER, 2, "");
    expect_owner(0, 2);
    right = "";
    expect_none(-EPROTO, "a owns it, but runs an older program");
    right = "0";
    expect_none(-EPROTO, "malformed answer");
}
END_TEST

START_TEST(a_circle_is_named)
{
    say(0, ROLE_GIVEN, 3, fakes[1].control);
    say(1, ROLE_GIVEN, 4, fakes[0].control);
    expect_none(-ELOOP, "in a circle: a, b, a");
}
END_TEST

START_TEST(peers_tell_when_the_owner_cannot)
{
    say(3, ROLE_GIVEN, 6, fakes[1].control);
    say(1, ROLE_OWNER, 7, "");
    say(2, ROLE_OWNER, 5, "");
    rpc_server_free(fakes[0].server); /* the owner that we know */
    fakes[0].server = NULL;
    expect_none(-ECONNREFUSED, "a.ctl");
    rig_set(&config, "peer", fakes[2].control);
    expect_owner(2, 5);
    rig_set(&config, "peer", fakes[3].control);
    expect_owner(1, 7); /* of two the later one */
    say(2, ROLE_OWNER, 2, "");
    say(1, ROLE_STANDBY, 0, "");
    expect_none(-ECONNREFUSED, "a.ctl"); /* nobody newer */
}
END_TEST

START_TEST(who_is_given_up_is_not_asked)
{
    struct err e = {0};
    struct owner_answer w;

    say(0, ROLE_OWNER, 3, "");
    ck_assert_int_eq(find(true, &e, &w), -ENOENT);
    rig_set(&config, "peer", fakes[1].control);
    ck_assert_int_eq(find(true, &e, &w), -EAGAIN);
    say(1, ROLE_OWNER, 4, "");
    ck_assert_int_eq(find(true, &e, &w), 0);
    ck_assert_str_eq(w.service, "b");
}
END_TEST

SUITE("where") = {
    CASE("where", .setup = set_up, .teardown = tear_down),
    TEST(an_owner_with_another_right_is_found_again),
    TEST(a_chain_is_followed_to_its_end),
    TEST(who_was_given_it_and_does_not_say_so_is_not_believed),
    TEST(an_epoch_that_is_not_above_ours_is_nothing_new),
    TEST(a_circle_is_named),
    TEST(peers_tell_when_the_owner_cannot),
    TEST(who_is_given_up_is_not_asked),
};
