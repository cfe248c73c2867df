/* SPDX-License-Identifier: BSD-3-Clause */
/* From facts to a named state: each row is one thing a person may find at night. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <check.h>

#include "owner_word.h"
#include "recover.h"
#include "suite.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define OTHER_UUID "99999999-2222-3333-4444-555555555555"
#define SILENT                                                                         \
    {                                                                                  \
        .kind = WORD_SILENT                                                            \
    }
#define NO_UUID 1U

struct row {
    const char *what;
    enum role role; /* ours, at epoch 5 */
    unsigned flags;
    uint64_t superseded;
    enum recover_device device;
    enum recover_lock lock;
    bool is_asking;
    const char *mate;
    struct owner_word peer;  /* at URI unix:/b */
    struct owner_word third; /* asked by the caller; WORD_NOBODY: not there */
    enum recover_state state;
    bool may_take;
    uint64_t next_epoch;
};

#define SAYS(r, n, who)                                                                \
    {                                                                                  \
        .kind = WORD_ROLE, .role = ROLE_##r, .epoch = (n), .owner = (who)              \
    }

static const struct row rows[] = {
    {"we own it, alone", ROLE_OWNER, .peer = SILENT, .lock = LOCK_OURS,
     .state = RECOVER_OWNER, .next_epoch = 7},
    {"we own it, the other gave it to us", ROLE_OWNER, .peer = SAYS(GIVEN, 5, "a"),
     .lock = LOCK_OURS, .state = RECOVER_OWNER, .next_epoch = 7},
    {"two owners, ours is newer", ROLE_OWNER, .peer = SAYS(OWNER, 3, "b"),
     .state = RECOVER_CONTESTED, .next_epoch = 7},
    {"two owners, theirs is newer", ROLE_OWNER, .peer = SAYS(OWNER, 8, "b"),
     .state = RECOVER_CONTESTED, .next_epoch = 10},
    {"given, and the owner answers", ROLE_GIVEN, .peer = SAYS(OWNER, 5, "b"),
     .lock = LOCK_HELD, .state = RECOVER_SERVED_ELSEWHERE, .next_epoch = 7},
    {"given, a third one owns it", ROLE_GIVEN, .peer = SILENT,
     .third = SAYS(OWNER, 9, "c"), .state = RECOVER_SERVED_ELSEWHERE, .next_epoch = 11},
    {"given, we ask, the next owner is up", ROLE_GIVEN, .is_asking = true,
     .peer = SAYS(STANDBY, 0, ""), .state = RECOVER_CONVERGING, .next_epoch = 7},
    {"given, we ask, it has another disk and refuses", ROLE_GIVEN, .is_asking = true,
     .peer = {.kind = WORD_OTHER_DISK}, .state = RECOVER_CONVERGING, .next_epoch = 7},
    {"it is on its way to us", ROLE_GIVEN, .peer = SAYS(GIVEN, 6, "a"),
     .state = RECOVER_CONVERGING, .next_epoch = 8},
    {"it went on to a third one", ROLE_GIVEN, .peer = SAYS(GIVEN, 6, "c"),
     .state = RECOVER_MOVED_ON, .next_epoch = 8},
    {"the other was superseded itself", ROLE_GIVEN,
     .peer =
         {.kind = WORD_ROLE, .role = ROLE_STANDBY, .epoch = 8, .is_superseded = true},
     .state = RECOVER_MOVED_ON, .next_epoch = 10},
    {"parked there", ROLE_GIVEN, .peer = SAYS(PARKED, 6, ""), .state = RECOVER_PARKED,
     .next_epoch = 8},
    {"parked here", ROLE_PARKED, .peer = SILENT, .state = RECOVER_PARKED,
     .next_epoch = 7},
    {"parked here, and taken elsewhere", ROLE_PARKED, .peer = SAYS(OWNER, 7, "b"),
     .state = RECOVER_SERVED_ELSEWHERE, .next_epoch = 9},
    {"a standby that never owned it", ROLE_STANDBY, NO_UUID, .peer = SILENT,
     .state = RECOVER_UNKNOWN_HERE, .next_epoch = 7},
    {"a superseded one whose taker is silent", ROLE_STANDBY, .superseded = 3,
     .peer = SILENT, .state = RECOVER_OWNER_SILENT, .may_take = true, .next_epoch = 7},
    {"silent, the device is missing", ROLE_GIVEN, .peer = SILENT,
     .device = DEVICE_MISSING, .lock = LOCK_UNKNOWN, .state = RECOVER_DEVICE_MISSING,
     .next_epoch = 7},
    {"silent, the device has another size", ROLE_GIVEN, .peer = SILENT,
     .device = DEVICE_DIFFERS, .state = RECOVER_DEVICE_DIFFERS, .next_epoch = 7},
    {"silent, the device is locked", ROLE_GIVEN, .peer = SILENT, .lock = LOCK_HELD,
     .state = RECOVER_IN_USE, .next_epoch = 7},
    {"silent, the lock cannot be asked for", ROLE_GIVEN, .peer = SILENT,
     .lock = LOCK_UNKNOWN, .state = RECOVER_IN_USE, .next_epoch = 7},
    {"silent, nobody has the lock", ROLE_GIVEN, .peer = SILENT,
     .state = RECOVER_OWNER_SILENT, .may_take = true, .next_epoch = 7},
    {"silent, there are no locks", ROLE_GIVEN, .peer = SILENT, .lock = LOCK_NONE,
     .state = RECOVER_OWNER_SILENT, .may_take = true, .next_epoch = 7},
    {"silent, never confirmed", ROLE_GIVEN, .peer = SILENT, .is_asking = true,
     .state = RECOVER_NEXT_OWNER_SILENT, .may_take = true, .next_epoch = 7},
    {"nobody to ask", ROLE_GIVEN, .peer = {.kind = WORD_NOBODY},
     .state = RECOVER_OWNER_SILENT, .may_take = true, .next_epoch = 7},
    {"the other lost its records", ROLE_GIVEN, .peer = SAYS(STANDBY, 0, ""),
     .state = RECOVER_LOST_THERE, .may_take = true, .next_epoch = 7},
    {"the other has no such disk", ROLE_GIVEN, .is_asking = true,
     .peer = {.kind = WORD_NO_DISK}, .state = RECOVER_LOST_THERE, .may_take = true,
     .next_epoch = 7},
    {"the other lost its records, the device is locked", ROLE_GIVEN,
     .peer = SAYS(STANDBY, 0, ""), .lock = LOCK_HELD, .state = RECOVER_IN_USE,
     .next_epoch = 7},
    {"one of a group", ROLE_GIVEN, .peer = SILENT, .mate = "vdb",
     .state = RECOVER_OWNER_SILENT, .next_epoch = 7},
};

static struct recover_facts
facts_of(const struct row *r)
{
    struct recover_facts f = {.service = "a",
                              .path = "/d",
                              .device = r->device,
                              .lock = r->lock,
                              .is_asking = r->is_asking,
                              .mate = r->mate,
                              .nr_others = r->third.kind != WORD_NOBODY ? 2 : 1,
                              .others = {r->peer, r->third}};

    f.rec = (struct record){.name = "vda",
                            .vm = "web",
                            .role = r->role,
                            .epoch = 5,
                            .superseded = r->superseded,
                            .info.size = 65536,
                            .peer_name = "b"};
    if ((r->flags & NO_UUID) == 0) {
        (void)snprintf(f.rec.uuid, sizeof f.rec.uuid, UUID);
    }
    (void)snprintf(f.others[0].service, sizeof f.others[0].service, "b");
    (void)snprintf(f.others[0].uri, sizeof f.others[0].uri, "unix:/b");
    (void)snprintf(f.others[1].service, sizeof f.others[1].service, "c");
    return f;
}

static bool
is_sentence(const char *s)
{
    return s[0] != '\0' && strlen(s) < RECOVER_SENTENCE - 1 &&
           strstr(s, "(null)") == NULL;
}

START_TEST(facts_lead_to_one_named_state_and_whole_sentences)
{
    const struct row *r = &rows[_i];
    struct recover_facts f = facts_of(r);
    struct recover_verdict v;

    recover_judge(&f, &v);
    ck_assert_msg(v.state == r->state, "%s: %s, expected %s", r->what,
                  recover_state_name(v.state), recover_state_name(r->state));
    ck_assert_msg(v.may_take == r->may_take, "%s: may_take %d", r->what, v.may_take);
    ck_assert_msg(v.next_epoch == r->next_epoch, "%s: epoch %" PRIu64, r->what,
                  v.next_epoch);
    ck_assert(is_sentence(v.means));
    ck_assert(is_sentence(v.by_itself));
    ck_assert(is_sentence(v.wait));
    ck_assert(is_sentence(v.take));
    ck_assert(is_sentence(v.elsewhere));
    ck_assert_int_eq(strstr(v.take, "--take is refused") == NULL,
                     v.may_take || v.state == RECOVER_OWNER);
    if (v.may_take) {
        ck_assert_ptr_nonnull(strstr(v.take, "acknowledged by the other side and not "
                                             "flushed"));
    }
}
END_TEST

START_TEST(every_state_has_a_row_and_a_name_of_its_own)
{
    for (unsigned s = 0; s < RECOVER_NR_STATES; s++) {
        bool has_row = false;

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            has_row = has_row || rows[i].state == s;
        }
        ck_assert_msg(has_row, "%s has no row", recover_state_name(s));
        for (unsigned t = 0; t < s; t++) {
            ck_assert_str_ne(recover_state_name(s), recover_state_name(t));
        }
    }
}
END_TEST

START_TEST(no_take_when_no_epoch_is_left)
{
    struct row r = {"", ROLE_GIVEN, .peer = SILENT};
    struct recover_facts f = facts_of(&r);
    struct recover_verdict v;

    f.rec.epoch = INT64_MAX - 1;
    recover_judge(&f, &v);
    ck_assert_int_eq(v.state, RECOVER_OWNER_SILENT);
    ck_assert(!v.may_take);
    ck_assert_ptr_nonnull(strstr(v.take, "no epoch left"));
}
END_TEST

START_TEST(an_epoch_that_was_refused_here_is_not_used_again)
{
    struct row r = {"", ROLE_GIVEN, .peer = SILENT};
    struct recover_facts f = facts_of(&r);
    struct recover_verdict v;

    f.refused_epoch = 20;
    recover_judge(&f, &v);
    ck_assert_uint_eq(v.next_epoch, 22);
}
END_TEST

static struct owner_word
word_of(const char *status)
{
    const struct record rec = {.name = "vda", .uuid = UUID};
    struct owner_word o = {.kind = WORD_NOBODY};
    json_t *j = json_loads(status, 0, NULL);

    ck_assert_ptr_nonnull(j);
    owner_word_read(j, &rec, &o);
    json_decref(j);
    return o;
}

START_TEST(the_word_of_another_service_is_read_with_suspicion)
{
    struct owner_word o = word_of(
        "{\"service\": \"b\", \"disks\": [{\"name\": \"other\", \"uuid\": \"" UUID
        "\", \"role\": \"given\", \"epoch\": 6, \"owner\": \"c\"}]}");

    ck_assert_int_eq(o.kind, WORD_ROLE); /* by uuid, whatever it is called there */
    ck_assert_int_eq(o.role, ROLE_GIVEN);
    ck_assert_uint_eq(o.epoch, 6);
    ck_assert_str_eq(o.owner, "c");
    ck_assert_str_eq(o.service, "b");
    o = word_of("{\"service\": \"b\", \"disks\": [{\"name\": \"vda\", \"uuid\": "
                "\"" OTHER_UUID "\", \"role\": \"owner\", \"epoch\": 6}]}");
    ck_assert_int_eq(o.kind, WORD_OTHER_DISK);
    o = word_of("{\"disks\": [{\"name\": \"vda\", \"uuid\": \"\", \"role\": "
                "\"standby\", \"epoch\": 0}]}");
    ck_assert_int_eq(o.kind, WORD_ROLE);
    o = word_of("{\"service\": \"b\", \"disks\": []}");
    ck_assert_int_eq(o.kind, WORD_NO_DISK);
    o = word_of(
        "{\"service\": 1, \"disks\": [7, {\"name\": \"vda\", \"role\": \"king\", "
        "\"epoch\": -1}]}");
    ck_assert_int_eq(o.kind, WORD_SILENT);
    o = word_of("{\"service\": \"../x\\n\", \"disks\": [{\"name\": \"vda\", \"role\": "
                "\"owner\", \"epoch\": -3, \"owner\": [], \"state\": 4}]}");
    ck_assert_int_eq(o.kind, WORD_ROLE);
    ck_assert_uint_eq(o.epoch, 0);
    ck_assert_str_eq(o.service, "");
}
END_TEST

SUITE("recover") = {
    CASE("recover"),
    EACH(facts_lead_to_one_named_state_and_whole_sentences, rows),
    TEST(every_state_has_a_row_and_a_name_of_its_own),
    TEST(no_take_when_no_epoch_is_left),
    TEST(an_epoch_that_was_refused_here_is_not_used_again),
    TEST(the_word_of_another_service_is_read_with_suspicion),
};
