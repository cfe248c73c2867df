/* SPDX-License-Identifier: BSD-3-Clause */
/* What a record says, what a commit does, and what a group of them is. What a file may
 * hold is test_record_files.c, and what goes wrong meanwhile test_record_faults.c. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <check.h>

#include "cleanup.h"
#include "record_json.h"
#include "record_rig.h"
#include "record_store.h"
#include "suite.h"

static void
ck_assert_records_eq(const struct record *a, const struct record *b)
{
    ck_assert_str_eq(a->name, b->name);
    ck_assert_str_eq(a->uuid, b->uuid);
    ck_assert_str_eq(a->vm, b->vm);
    ck_assert_int_eq(a->role, b->role);
    ck_assert_uint_eq(a->epoch, b->epoch);
    ck_assert_uint_eq(a->info.size, b->info.size);
    ck_assert_uint_eq(a->info.min_block, b->info.min_block);
    ck_assert_uint_eq(a->info.pref_block, b->info.pref_block);
    ck_assert_uint_eq(a->info.max_block, b->info.max_block);
    ck_assert_uint_eq(a->info.caps, b->info.caps);
    ck_assert_str_eq(a->peer_name, b->peer_name);
    ck_assert_str_eq(a->peer_control, b->peer_control);
    ck_assert_str_eq(a->flushed_by, b->flushed_by);
    ck_assert_str_eq(a->right, b->right);
    ck_assert_uint_eq(a->forced_epoch, b->forced_epoch);
    ck_assert_uint_eq(a->taken_at, b->taken_at);
    ck_assert_uint_eq(a->superseded, b->superseded);
    ck_assert_uint_eq(a->nr_channels, b->nr_channels);
    for (unsigned i = 0; i < a->nr_channels; i++) {
        ck_assert_str_eq(a->channels[i], b->channels[i]);
    }
}

START_TEST(roles_have_names_and_back)
{
    enum role r = ROLE_PARKED;

    for (int i = 0; i < ROLE_NR; i++) {
        ck_assert_int_eq(role_parse(role_name((enum role)i), &r), 0);
        ck_assert_int_eq(r, i);
    }
    ck_assert_str_eq(role_name(ROLE_GIVEN), "given");
    ck_assert_int_eq(role_parse("", &r), -EINVAL);
    ck_assert_int_eq(role_parse("Owner", &r), -EINVAL);
    ck_assert_int_eq(role_parse("owners", &r), -EINVAL);
}
END_TEST

START_TEST(a_committed_record_is_loaded_back_after_a_restart)
{
    struct record r = make_record("vda", INT64_MAX), got;
    struct record_dir *d = open_dir();

    commit(d, &r, 1);
    got = load(d, "vda");
    ck_assert_records_eq(&got, &r);
    record_dir_close(d);
    d = open_dir();
    got = load(d, "vda");
    ck_assert_records_eq(&got, &r);
    record_dir_close(d);
}
END_TEST

START_TEST(what_baton_recover_did_is_in_the_record_and_only_then)
{
    struct record taken = make_record("vda", 9), stood_down = make_record("vdb", 9);
    struct record plain = make_record("vdc", 9), got;
    struct record_dir *d = open_dir();
    char *text = record_format_disk(&plain, 1);

    ck_assert_ptr_null(strstr(text, "forced_epoch")); /* an older program reads it */
    ck_assert_ptr_null(strstr(text, "superseded"));
    free(text);
    taken.forced_epoch = 7;
    taken.taken_at = 1700000000;
    stood_down.role = ROLE_STANDBY;
    stood_down.superseded = 5;
    commit(d, &taken, 1);
    commit(d, &stood_down, 1);
    record_dir_close(d);
    d = open_dir();
    got = load(d, "vda");
    ck_assert_records_eq(&got, &taken);
    got = load(d, "vdb");
    ck_assert_records_eq(&got, &stood_down);
    ck_assert_uint_gt(record_time(d, "vdb"), 1700000000);
    ck_assert_uint_eq(record_time(d, "none"), 0);
    taken.forced_epoch = 10; /* of an epoch that has not been */
    ck_assert_int_eq(record_check(&taken, NULL), -EINVAL);
    stood_down.role = ROLE_OWNER;
    ck_assert_int_eq(record_check(&stood_down, NULL), -EINVAL);
    record_dir_close(d);
}
END_TEST

START_TEST(what_a_device_was_like_is_in_the_record_while_it_is_parked)
{
    struct record r = make_record("vda", 9), back;
    AUTO_FREE char *plain = record_format_disk(&r, 1), *text = NULL;
    struct err e = {.msg = ""};
    uint64_t stamp;

    ck_assert_ptr_null(strstr(plain, "parked")); /* an older program reads it */
    r.role = ROLE_PARKED;
    ck_assert_int_eq(record_check(&r, &e), 0); /* one of an older program */
    r.has_parked = true;
    r.parked.info = r.info;
    (void)snprintf(r.parked.device_id, sizeof r.parked.device_id, "file:8:1:42@B");
    memset(r.parked.samples[0], 'a', IDENTITY_HASH_LEN - 1);
    memset(r.parked.samples[IDENTITY_SAMPLES - 1], 'b', IDENTITY_HASH_LEN - 1);
    ck_assert_msg(record_check(&r, &e) == 0, "%s", e.msg);
    text = record_format_disk(&r, 1);
    ck_assert_msg(record_parse_disk(text, strlen(text), &e, &back, &stamp) == 0, "%s",
                  e.msg);
    ck_assert(back.has_parked);
    ck_assert_str_eq(back.parked.device_id, r.parked.device_id);
    ck_assert_mem_eq(back.parked.samples, r.parked.samples, sizeof r.parked.samples);
    r.role = ROLE_GIVEN; /* to be parked again, should it be refused */
    ck_assert_int_eq(record_check(&r, &e), 0);
    r.is_learned = true;
    ck_assert_int_eq(record_check(&r, &e), -EINVAL);
    r.is_learned = false;
    r.role = ROLE_OWNER;
    ck_assert_int_eq(record_check(&r, &e), -EINVAL);
}
END_TEST

START_TEST(a_standby_that_knows_nothing_has_a_record)
{
    struct record r = {.name = "vda", .role = ROLE_STANDBY}, got;
    struct record_dir *d = open_dir();

    commit(d, &r, 1);
    got = load(d, "vda");
    ck_assert_records_eq(&got, &r);
    record_dir_close(d);
}
END_TEST

START_TEST(the_biggest_record_and_group_fit)
{
    static struct record records[GROUP_MAX_DISKS];
    struct record_dir *d = open_dir();

    for (unsigned i = 0; i < GROUP_MAX_DISKS; i++) {
        struct record *r = &records[i];

        *r = make_record("x", 1);
        memset(r->name, 'x', NAME_MAX_LEN);
        (void)snprintf(r->name, 4, "d%02u", i);
        r->name[3] = 'x';
        memset(r->peer_control, 1, RECORD_URI_LEN - 1); /* six bytes each in JSON */
        r->nr_channels = RECORD_MAX_URIS;
        for (unsigned j = 0; j < RECORD_MAX_URIS; j++) {
            memset(r->channels[j], 1, RECORD_URI_LEN - 1);
        }
    }
    commit(d, records, GROUP_MAX_DISKS);
    record_dir_close(d);
    d = open_dir();
    for (unsigned i = 0; i < GROUP_MAX_DISKS; i++) {
        struct record got = load(d, records[i].name);

        ck_assert_records_eq(&got, &records[i]);
    }
    record_dir_close(d);
}
END_TEST

START_TEST(a_disk_without_record_says_enoent)
{
    struct record_dir *d = open_dir();
    struct err e = {.msg = ""};
    struct record r;

    ck_assert_int_eq(record_load(d, "vda", &e, &r), -ENOENT);
    ck_assert_ptr_nonnull(strstr(e.msg, "disk/vda.json"));
    ck_assert_int_eq(record_load(d, "../service", &e, &r), -EINVAL);
    record_dir_close(d);
}
END_TEST

START_TEST(the_service_keeps_its_id_and_counts_its_lives)
{
    struct record_dir *d = open_dir();
    char id[37];

    (void)snprintf(id, sizeof id, "%s", record_dir_service_id(d));
    ck_assert(uuid_is_valid(id));
    for (unsigned i = 0; i < 3; i++) {
        uint64_t before = record_dir_incarnation(d);

        record_dir_close(d);
        d = open_dir();
        ck_assert_str_eq(record_dir_service_id(d), id);
        ck_assert_uint_gt(record_dir_incarnation(d), before);
    }
    record_dir_close(d);
}
END_TEST

START_TEST(a_second_service_is_kept_out)
{
    struct record_dir *d = open_dir(), *other = NULL;
    struct err e = {.msg = ""};

    ck_assert_int_eq(record_dir_open(dir_path, &e, &other), -EBUSY);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(e.msg, dir_path));
    record_dir_close(d);
    record_dir_close(open_dir());
    record_dir_close(NULL);
}
END_TEST

START_TEST(the_directory_is_for_its_owner_only)
{
    struct record r = make_record("vda", 1);
    struct record_dir *d = open_dir();
    struct stat st;
    char path[200];

    commit(d, &r, 1);
    record_dir_close(d);
    ck_assert_int_eq(stat(dir_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    (void)snprintf(path, sizeof path, "%s/disk/vda.json", dir_path);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(chmod(dir_path, 0777), 0);
    ck_assert_int_eq(record_dir_open(dir_path, NULL, &d), -EPERM);
}
END_TEST

START_TEST(a_directory_that_cannot_be_is_refused_with_its_path)
{
    static const char *const paths[] = {"/nonexistent/x", "/dev/null", "",
                                        "/dev/null/x"};
    static const int errors[] = {-ENOENT, -ENOTDIR, -ENOENT, -ENOTDIR};
    struct record_dir *d = NULL;

    for (size_t i = 0; i < 4; i++) {
        struct err e = {.msg = ""};

        ck_assert_int_eq(record_dir_open(paths[i], &e, &d), errors[i]);
        ck_assert_ptr_nonnull(strstr(e.msg, paths[i]));
    }
    ck_assert_ptr_null(d);
}
END_TEST

START_TEST(temporary_files_of_a_crash_are_removed)
{
    record_dir_close(open_dir());
    write_file(".tmp-service", "x", 1);
    write_file("disk/.tmp-vda.json", "x", 1);
    write_file("disk/note.txt", "x", 1);
    record_dir_close(open_dir());
    ck_assert(!has_file(".tmp-service"));
    ck_assert(!has_file("disk/.tmp-vda.json"));
    ck_assert(has_file("disk/note.txt"));
}
END_TEST

START_TEST(a_group_is_committed_at_once_and_spread_later)
{
    struct record r[2] = {make_record("vda", 5), make_record("vdb", 5)};
    struct record_dir *d = open_dir();

    commit(d, r, 2);
    ck_assert(has_file("group.json"));
    ck_assert(!has_file("disk/vda.json"));
    ck_assert_uint_eq(load(d, "vda").epoch, 5);
    ck_assert_int_eq(record_settle(d, NULL), 0);
    ck_assert(!has_file("group.json"));
    ck_assert(has_file("disk/vda.json"));
    ck_assert_uint_eq(load(d, "vdb").epoch, 5);
    ck_assert_int_eq(record_settle(d, NULL), 0); /* nothing to do is fine */
    record_dir_close(d);
}
END_TEST

START_TEST(a_group_is_spread_by_the_next_open)
{
    struct record r[2] = {make_record("vda", 5), make_record("vdb", 5)};
    struct record_dir *d = open_dir();

    commit(d, r, 2);
    record_dir_close(d);
    d = open_dir();
    ck_assert(!has_file("group.json"));
    ck_assert_uint_eq(load(d, "vda").epoch, 5);
    ck_assert_uint_eq(load(d, "vdb").epoch, 5);
    record_dir_close(d);
}
END_TEST

START_TEST(the_next_commit_spreads_the_group_first)
{
    struct record r[2] = {make_record("vda", 5), make_record("vdb", 5)};
    struct record next = make_record("vda", 6);
    struct record_dir *d = open_dir();

    commit(d, r, 2);
    commit(d, &next, 1);
    ck_assert(!has_file("group.json"));
    ck_assert_uint_eq(load(d, "vda").epoch, 6);
    ck_assert_uint_eq(load(d, "vdb").epoch, 5);
    commit(d, r, 2); /* a group over it, whatever its epoch: the caller decides */
    ck_assert_uint_eq(load(d, "vda").epoch, 5);
    record_dir_close(d);
}
END_TEST

/* A power cut can undo the removal of group.json, but not what was fsynced since. */
START_TEST(a_group_that_comes_back_from_the_dead_changes_nothing)
{
    struct record old[2] = {make_record("vda", 5), make_record("vdb", 5)};
    struct record next = make_record("vda", 6);
    struct record_dir *d = open_dir();
    AUTO_FREE char *text = NULL;
    size_t len;

    commit(d, old, 2);
    ck_assert_int_eq(record_store_read(d->fd, "group.json", NULL, &text, &len), 0);
    commit(d, &next, 1);
    record_dir_close(d);
    write_file("group.json", text, len);
    d = open_dir();
    ck_assert_uint_eq(load(d, "vda").epoch, 6);
    ck_assert_uint_eq(load(d, "vdb").epoch, 5);
    ck_assert(!has_file("group.json"));
    record_dir_close(d);
}
END_TEST

/* What a crash leaves between the renames of the spreading. */
START_TEST(a_half_spread_group_is_finished)
{
    struct record old[2] = {make_record("vda", 5), make_record("vdb", 5)};
    struct record new[2] = {make_record("vda", 6), make_record("vdb", 6)};
    struct record_dir *d = open_dir();
    uint64_t stamp = (record_dir_incarnation(d) + 1) << 32;
    AUTO_FREE char *text = record_format_disk(&new[0], stamp);

    commit(d, old, 2);
    ck_assert_int_eq(record_settle(d, NULL), 0);
    record_dir_close(d);
    write_group(new, 2, stamp);
    write_file("disk/vda.json", text, strlen(text));
    d = open_dir();
    ck_assert_uint_eq(load(d, "vda").epoch, 6);
    ck_assert_uint_eq(load(d, "vdb").epoch, 6);
    record_dir_close(d);
}
END_TEST

/* What to write over a good record to spoil it: text, a number, or 'x' to the end. */
#define FIELD(f) ((struct record *)NULL)->f
#define TEXT(f, s)                                                                     \
    {                                                                                  \
        offsetof(struct record, f), sizeof(s), s                                       \
    }
#define NUMBER(f, n)                                                                   \
    {                                                                                  \
        offsetof(struct record, f), sizeof FIELD(f), &(const __typeof__(FIELD(f)))     \
        {                                                                              \
            n                                                                          \
        }                                                                              \
    }
#define FULL(f)                                                                        \
    {                                                                                  \
        offsetof(struct record, f), sizeof FIELD(f), NULL                              \
    }
static const struct {
    size_t off, size;
    const void *bytes;
} spoilers[] = {
    TEXT(name, ""),
    FULL(name),
    TEXT(name, "../x"),
    TEXT(uuid, ""),
    TEXT(uuid, "0123ABCD-4567-89ef-0123-456789abcdef"),
    TEXT(uuid, "0123abcd04567-89ef-0123-456789abcdef"),
    TEXT(uuid, "0123abcd-4567-89ef-0123-456789abcde"),
    FULL(uuid),
    TEXT(vm, "a b"),
    FULL(vm),
    NUMBER(role, (enum role)ROLE_NR),
    NUMBER(epoch, 0),
    NUMBER(epoch, UINT64_C(1) << 63),
    NUMBER(info.size, UINT64_C(1) << 63),
    NUMBER(info.min_block, 0),
    NUMBER(info.min_block, 3),
    NUMBER(info.min_block, 131072),
    NUMBER(info.pref_block, 256),
    NUMBER(info.pref_block, 64U << 20),
    NUMBER(info.max_block, 0),
    NUMBER(info.max_block, 1000),
    TEXT(peer_name, "/"),
    FULL(peer_name),
    FULL(peer_control),
    TEXT(peer_control, "\xff"),
    FULL(flushed_by),
    FULL(right),
    TEXT(right, "0123456789ABCDEF0123456789abcdef"),
    TEXT(flushed_by, "a;b"),
    NUMBER(nr_channels, RECORD_MAX_URIS + 1),
    FULL(channels[1]),
    TEXT(channels[1], ""),
    TEXT(channels[0], "unix:/\xc3"),
};

static void
spoil(struct record *r, int how)
{
    char *at = (char *)r + spoilers[how].off;

    if (spoilers[how].bytes == NULL) {
        memset(at, 'x', spoilers[how].size);
    } else {
        memcpy(at, spoilers[how].bytes, spoilers[how].size);
    }
}

START_TEST(a_bad_record_is_refused_and_changes_nothing)
{
    struct record r[2] = {make_record("vdb", 1), make_record("vda", 1)}, got;
    struct record_dir *d = open_dir();
    struct err e = {.msg = ""};
    bool is_committed = true;

    commit(d, &r[1], 1);
    r[0].epoch = r[1].epoch = 2;
    spoil(&r[1], _i);
    ck_assert_int_eq(record_commit(d, &r[1], 1, &e, &is_committed), -EINVAL);
    ck_assert(!is_committed);
    ck_assert_int_ne(e.msg[0], '\0');
    ck_assert_int_eq(record_commit(d, r, 2, &e, &is_committed), -EINVAL);
    ck_assert(!is_committed);
    ck_assert_uint_eq(load(d, "vda").epoch, 1);
    ck_assert_int_eq(record_load(d, "vdb", NULL, &got), -ENOENT);
    record_dir_close(d);
}
END_TEST

START_TEST(a_commit_of_none_of_too_many_or_of_twins_is_refused)
{
    static struct record r[GROUP_MAX_DISKS + 1];
    struct record_dir *d = open_dir();
    bool is_committed;

    for (unsigned i = 0; i <= GROUP_MAX_DISKS; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "d%u", i);
        r[i] = make_record(name, 1);
    }
    ck_assert_int_eq(record_commit(d, r, 0, NULL, &is_committed), -EINVAL);
    ck_assert_int_eq(record_commit(d, r, GROUP_MAX_DISKS + 1, NULL, &is_committed),
                     -EINVAL);
    r[1] = r[0];
    ck_assert_int_eq(record_commit(d, r, 2, NULL, &is_committed), -EINVAL);
    record_dir_close(d);
}
END_TEST

SUITE("record") = {
    CASE("record", .setup = rig_set_up, .teardown = rig_tear_down),
    TEST(roles_have_names_and_back),
    TEST(a_committed_record_is_loaded_back_after_a_restart),
    TEST(what_baton_recover_did_is_in_the_record_and_only_then),
    TEST(what_a_device_was_like_is_in_the_record_while_it_is_parked),
    TEST(a_standby_that_knows_nothing_has_a_record),
    TEST(the_biggest_record_and_group_fit),
    TEST(a_disk_without_record_says_enoent),
    TEST(the_service_keeps_its_id_and_counts_its_lives),
    TEST(a_second_service_is_kept_out),
    TEST(the_directory_is_for_its_owner_only),
    TEST(a_directory_that_cannot_be_is_refused_with_its_path),
    TEST(temporary_files_of_a_crash_are_removed),
    TEST(a_group_is_committed_at_once_and_spread_later),
    TEST(a_group_is_spread_by_the_next_open),
    TEST(the_next_commit_spreads_the_group_first),
    TEST(a_group_that_comes_back_from_the_dead_changes_nothing),
    TEST(a_half_spread_group_is_finished),
    EACH(a_bad_record_is_refused_and_changes_nothing, spoilers),
    TEST(a_commit_of_none_of_too_many_or_of_twins_is_refused),
};
