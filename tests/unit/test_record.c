/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "err.h"
#include "record.h"
#include "record_dir.h"
#include "record_json.h"
#include "record_store.h"
#include "suite.h"

#define UUID "0123abcd-4567-89ef-0123-456789abcdef"

static char folder[64];
static char dir_path[96]; /* <folder>/state */

static void
set_up(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/baton-record-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(dir_path, sizeof dir_path, "%s/state", folder);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void
tear_down(void)
{
    ck_assert_int_eq(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
}

static struct record
make_record(const char *name, uint64_t epoch)
{
    struct record r = {
        .uuid = UUID,
        .vm = "web",
        .role = ROLE_GIVEN,
        .epoch = epoch,
        .info = {.size = 1 << 20,
                 .min_block = 512,
                 .pref_block = 4096,
                 .max_block = UINT32_MAX,
                 .caps = PORT_CAN_WRITE | PORT_CAN_FLUSH},
        .peer_name = "b",
        .peer_control = "unix:/run/b.ctl",
        .flushed_by = "b.7",
        .right = "0123456789abcdef0123456789abcdef",
        .nr_channels = 2,
        .channels = {"unix:/run/b.nbd", "vsock:3:10809"},
    };

    (void)snprintf(r.name, sizeof r.name, "%s", name);
    return r;
}

static struct record_dir *
open_dir(void)
{
    struct record_dir *d = NULL;
    struct err e = {.msg = ""};

    ck_assert_msg(record_dir_open(dir_path, &e, &d) == 0, "%s", e.msg);
    return d;
}

static void
commit(struct record_dir *d, const struct record *records, unsigned nr)
{
    struct err e = {.msg = ""};
    bool is_committed = false;

    ck_assert_msg(record_commit(d, records, nr, &e, &is_committed) == 0, "%s", e.msg);
    ck_assert(is_committed);
}

static struct record
load(struct record_dir *d, const char *name)
{
    struct err e = {.msg = ""};
    struct record r;

    ck_assert_msg(record_load(d, name, &e, &r) == 0, "%s", e.msg);
    return r;
}

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

static bool
has_file(const char *name)
{
    char path[200];

    (void)snprintf(path, sizeof path, "%s/%s", dir_path, name);
    return access(path, F_OK) == 0;
}

static void
write_file(const char *name, const char *text, size_t len)
{
    char path[200];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir_path, name);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

static void
write_group(const struct record *records, unsigned nr, uint64_t stamp)
{
    AUTO_FREE char *text = record_format_group(records, nr, stamp);

    ck_assert_ptr_nonnull(text);
    write_file("group.json", text, strlen(text));
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

/* Bodies that have a right checksum, and still are not a disk's record. */
static const char *const foreign[] = {
    "{}",
    "{\"kind\":\"disk\"}",
    "{\"kind\":\"disk\",\"stamp\":1,\"disk\":{}}",
    "{\"kind\":\"disk\",\"stamp\":1,\"disk\":[]}",
    "{\"kind\":\"disk\",\"stamp\":1,\"disk\":null}",
    "{\"kind\":7,\"stamp\":1,\"disk\":{}}",
    ("{\"kind\":\"service\",\"id\":\"" UUID "\",\"incarnation\":1}"),
    "{\"kind\":\"group\",\"stamp\":1,\"disks\":[]}",
};

/* {"baton": version, "sha256": of body, "body": body} with body's own checksum. */
static char *
sign(const char *body, int version)
{
    static const char template[] =
        "{\"baton\": %d, \"sha256\": \"%s\", \"body\": %s}\n";
    char command[300], hex[65] = "";
    char *text = NULL;
    FILE *f;

    (void)snprintf(command, sizeof command, "printf '%%s' '%s' | jq -cjS . | sha256sum",
                   body);
    f = popen(command, "re");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%64s", hex), 1);
    ck_assert_int_eq(pclose(f), 0);
    ck_assert_int_gt(asprintf(&text, template, version, hex, body), 0);
    return text;
}

START_TEST(a_foreign_file_is_refused)
{
    AUTO_FREE char *text = sign(foreign[_i], 1);
    struct err e = {.msg = ""};
    struct record r;
    uint64_t stamp;

    ck_assert_int_eq(record_parse_disk(text, strlen(text), &e, &r, &stamp), -EBADMSG);
    ck_assert_msg(strstr(e.msg, "checksum") == NULL, "%s", e.msg);
}
END_TEST

START_TEST(a_file_of_a_later_version_says_so)
{
    AUTO_FREE char *text = sign(foreign[0], 2);
    struct err e = {.msg = ""};
    struct record r;
    uint64_t stamp;

    ck_assert_int_eq(record_parse_disk(text, strlen(text), &e, &r, &stamp), -EBADMSG);
    ck_assert_str_eq(e.msg, "it has format version 2, this program knows 1");
}
END_TEST

START_TEST(the_checksum_is_that_of_the_compact_sorted_body)
{
    struct record_service s = {.incarnation = 0}, made = {.id = UUID, .incarnation = 3};
    AUTO_FREE char *text =
        sign("{\"incarnation\":3,  \"kind\":\"service\", \"id\":\"" UUID "\"}", 1);
    AUTO_FREE char *ours = record_format_service(&made);
    const char *hex = strstr(text, "sha256");

    ck_assert_int_eq(record_parse_service(text, strlen(text), NULL, &s), 0);
    ck_assert_uint_eq(s.incarnation, 3);
    ck_assert_str_eq(s.id, UUID);
    ck_assert_int_eq(strncmp(strstr(ours, "sha256"), hex, 75), 0);
}
END_TEST

static bool
is_same(const struct record *a, const struct record *b)
{
    AUTO_FREE char *x = record_format_disk(a, 0);
    AUTO_FREE char *y = record_format_disk(b, 0);

    return strcmp(x, y) == 0;
}

/* Change, cut or repeat a few bytes. Returns the new length; to has room for twice. */
static size_t
mutate(const char *from, size_t len, char *to, unsigned *seed)
{
    size_t at = (size_t)rand_r(seed) % len, n = 1 + (size_t)rand_r(seed) % 8;

    n = n > len - at ? len - at : n;
    memcpy(to, from, len);
    switch (rand_r(seed) % 4) {
    case 0:
        return at; /* torn */
    case 1:
        to[at] = (char)(to[at] ^ (1 << rand_r(seed) % 8));
        return len;
    case 2:
        memmove(to + at, to + at + n, len - at - n);
        return len - n;
    default:
        memmove(to + at + n, to + at, len - at);
        return len + n;
    }
}

START_TEST(a_damaged_file_is_refused_or_says_the_same)
{
    struct record r = make_record("vda", 7), got;
    AUTO_FREE char *text = record_format_disk(&r, 1);
    size_t len = strlen(text), nr_refused = 0;
    AUTO_FREE char *bad = malloc(2 * len);
    unsigned seed = 4711 + (unsigned)_i;

    for (int i = 0; i < 1000; i++) {
        size_t bad_len = mutate(text, len, bad, &seed);
        uint64_t stamp;
        int rc = record_parse_disk(bad, bad_len, NULL, &got, &stamp);

        ck_assert_int_eq(rc == 0 || rc == -EBADMSG, true);
        ck_assert(rc != 0 || is_same(&got, &r));
        nr_refused += rc != 0;
    }
    ck_assert_uint_gt(nr_refused, 800);
}
END_TEST

START_TEST(damage_names_the_file)
{
    static const char *const files[] = {"disk/vda.json", "group.json", "service"};
    struct record r = make_record("vda", 1), got;
    struct record_dir *d = open_dir();
    struct err e = {.msg = ""};

    commit(d, &r, 1);
    write_file(files[_i], "{\"baton\": 1", 11);
    if (_i == 0) {
        ck_assert_int_eq(record_load(d, "vda", &e, &got), -EBADMSG);
        record_dir_close(d);
    } else {
        record_dir_close(d);
        ck_assert_int_eq(record_dir_open(dir_path, &e, &d), -EBADMSG);
    }
    ck_assert_msg(strstr(e.msg, files[_i]) != NULL, "%s", e.msg);
    ck_assert_ptr_nonnull(strstr(e.msg, dir_path));
}
END_TEST

START_TEST(a_file_that_speaks_of_another_disk_is_refused)
{
    struct record r = make_record("vda", 1), got;
    AUTO_FREE char *text = record_format_disk(&r, 1);
    struct record_dir *d = open_dir();

    write_file("disk/vdb.json", text, strlen(text));
    ck_assert_int_eq(record_load(d, "vdb", NULL, &got), -EBADMSG);
    record_dir_close(d);
}
END_TEST

START_TEST(a_group_that_names_a_disk_twice_is_refused)
{
    struct record r[2] = {make_record("vda", 1), make_record("vda", 2)};
    struct record_dir *d = open_dir();

    record_dir_close(d);
    write_group(r, 2, 1);
    ck_assert_int_eq(record_dir_open(dir_path, NULL, &d), -EBADMSG);
}
END_TEST

START_TEST(what_is_no_regular_file_or_too_long_is_refused)
{
    struct record_dir *d = open_dir();
    char path[200];
    struct record r;

    (void)snprintf(path, sizeof path, "%s/disk/vda.json", dir_path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(record_load(d, "vda", NULL, &r), -EBADMSG);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_int_eq(record_load(d, "vda", NULL, &r), -ELOOP);
    ck_assert_int_eq(unlink(path), 0);
    write_file("disk/vda.json", "x", 1);
    ck_assert_int_eq(truncate(path, RECORD_FILE_MAX + 1), 0);
    ck_assert_int_eq(record_load(d, "vda", NULL, &r), -EBADMSG);
    record_dir_close(d);
}
END_TEST

START_TEST(records_without_their_service_file_are_refused)
{
    struct record r = make_record("vda", 1);
    struct record_dir *d = open_dir();
    struct err e = {.msg = ""};
    char path[200];

    commit(d, &r, 1);
    record_dir_close(d);
    (void)snprintf(path, sizeof path, "%s/service", dir_path);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(record_dir_open(dir_path, &e, &d), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(e.msg, "service"));
}
END_TEST

/* Counts the steps that change the directory; from the nth on they fail. */
struct faulty_io {
    struct record_io io;
    unsigned count, fail_at; /* 0: never */
    bool is_lasting;         /* all later ones fail, too */
    bool tears;              /* a failing write has written half */
    char log[64];            /* one letter for each step that was tried */
    uint64_t wall_s;         /* goes on by a second each time it is asked */
};

static int
step(struct record_io *io, char letter)
{
    struct faulty_io *f = (struct faulty_io *)io; /* io is its first member */

    if (f->count < sizeof f->log - 1) {
        f->log[f->count] = letter;
    }
    f->count++;
    if (f->fail_at == 0 || f->count < f->fail_at) {
        return 0;
    }
    return f->count == f->fail_at || f->is_lasting ? -ENOSPC : 0;
}

static int
faulty_create(struct record_io *io, int dir_fd, const char *name)
{
    int rc = step(io, 'c');

    return rc < 0 ? rc : record_io_system.create(io, dir_fd, name);
}

static ssize_t
faulty_write(struct record_io *io, int fd, const char *buf, size_t len)
{
    int rc = step(io, 'w');

    if (rc < 0 && ((struct faulty_io *)io)->tears) {
        ck_assert_int_gt(write(fd, buf, len / 2), 0);
    }
    return rc < 0 ? rc : record_io_system.write(io, fd, buf, len);
}

static int
faulty_fsync(struct record_io *io, int fd)
{
    struct stat st;
    int rc;

    ck_assert_int_eq(fstat(fd, &st), 0);
    rc = step(io, S_ISDIR(st.st_mode) ? 'D' : 'F');
    return rc < 0 ? rc : record_io_system.fsync(io, fd);
}

static int
faulty_rename(struct record_io *io, int dir_fd, const char *from, const char *to)
{
    int rc = step(io, 'r');

    return rc < 0 ? rc : record_io_system.rename(io, dir_fd, from, to);
}

static int
faulty_unlink(struct record_io *io, int dir_fd, const char *name)
{
    int rc = step(io, 'u');

    return rc < 0 ? rc : record_io_system.unlink(io, dir_fd, name);
}

static uint64_t
faulty_wall_s(struct record_io *io)
{
    return ((struct faulty_io *)io)->wall_s++;
}

static struct faulty_io
make_faulty(bool is_lasting)
{
    return (struct faulty_io){
        .io = {.create = faulty_create,
               .write = faulty_write,
               .fsync = faulty_fsync,
               .rename = faulty_rename,
               .unlink = faulty_unlink,
               .wall_s = faulty_wall_s},
        .is_lasting = is_lasting,
        .tears = true,
        .wall_s = (uint64_t)time(NULL) + 3600, /* the other opens ask the true one */
    };
}

static void
check_epochs(struct record_dir *d, unsigned nr, uint64_t epoch)
{
    static const char *const names[] = {"vda", "vdb", "vdc"};

    ck_assert_uint_le(nr, sizeof names / sizeof names[0]);
    for (unsigned i = 0; i < nr; i++) {
        ck_assert_uint_eq(load(d, names[i]).epoch, epoch);
    }
}

/* c create, w write, F fsync of the file, r rename, D fsync of the folder, u unlink. A
 * power cut cannot be had in a test, but its cure is this order. */
START_TEST(what_must_last_is_synced_in_the_right_order)
{
    struct faulty_io f = make_faulty(false);
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d = NULL;

    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    ck_assert_str_eq(f.log, "D" /* the new folder in its parent */ "cwFrD");
    f = make_faulty(false);
    commit(d, r, 1);
    ck_assert_str_eq(f.log, "cwFrD");
    f = make_faulty(false);
    commit(d, r, 2);
    ck_assert_str_eq(f.log, "cwFrD");
    f = make_faulty(false);
    ck_assert_int_eq(record_settle(d, NULL), 0);
    ck_assert_str_eq(f.log, "cwFr"
                            "cwFr"
                            "D"
                            "uD");
    record_dir_close(d);
}
END_TEST

/* Fail the nth step of a commit of nr records over a directory where an earlier commit
 * of as many still has to be spread, then look with the same service and with the next.
 * Returns false when the run met no fault. */
static bool
commit_with_fault(unsigned nr, unsigned n, bool is_lasting, uint64_t epoch)
{
    struct faulty_io f = make_faulty(is_lasting);
    struct record r[3] = {make_record("vda", epoch), make_record("vdb", epoch),
                          make_record("vdc", epoch)};
    struct record_dir *d = NULL;
    bool is_committed;
    int rc;

    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    commit(d, r, nr);
    for (unsigned i = 0; i < 3; i++) {
        r[i].epoch = epoch + 1;
    }
    f.count = 0;
    f.fail_at = n;
    rc = record_commit(d, r, nr, NULL, &is_committed);
    ck_assert(rc == 0 || rc == (is_committed ? -EIO : -ENOSPC));
    ck_assert(rc != 0 || is_committed);
    check_epochs(d, nr, is_committed ? epoch + 1 : epoch);
    record_dir_close(d);
    d = open_dir();
    check_epochs(d, nr, is_committed ? epoch + 1 : epoch);
    ck_assert(!has_file("group.json"));
    record_dir_close(d);
    return f.count >= n;
}

START_TEST(a_commit_that_fails_at_any_step_is_all_or_nothing)
{
    unsigned nr = 1 + (unsigned)_i % 3, n = 1;
    uint64_t epoch = 1;

    while (commit_with_fault(nr, n, _i >= 3, epoch)) {
        n++;
        epoch += 2;
    }
    ck_assert_uint_gt(n, nr == 1 ? 5 : 10); /* it did meet steps */
}
END_TEST

/* The next service may fail, too, while it cleans up behind the last. */
START_TEST(an_open_that_fails_at_any_step_loses_nothing)
{
    struct faulty_io f = make_faulty(_i == 1);
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    uint64_t epoch;
    int rc = -1;

    for (epoch = 1; rc < 0; epoch++) {
        struct record_dir *d = open_dir();

        r[0].epoch = r[1].epoch = epoch;
        commit(d, r, 2);
        record_dir_close(d);
        write_file("disk/.tmp-x", "x", 1);
        f.count = 0;
        f.fail_at = (unsigned)epoch;
        rc = record_dir_open_with(dir_path, &f.io, NULL, &d);
        if (rc == 0) {
            check_epochs(d, 2, epoch);
            record_dir_close(d);
            rc = f.count >= f.fail_at ? -1 : 0; /* an ignored fault is no end */
            f.wall_s += 3600; /* the next open, by the true clock, counts one on */
        }
        d = open_dir();
        check_epochs(d, 2, epoch);
        record_dir_close(d);
    }
    ck_assert_uint_gt(epoch, 10);
}
END_TEST

/* Opens over f, which can write nothing. */
static struct record_dir *
open_unwritten(struct faulty_io *f)
{
    struct record_dir *d = NULL;
    struct err e = {.msg = ""};
    char why[RECORD_UNWRITTEN_LEN];

    f->count = 0;
    f->fail_at = 1;
    ck_assert_msg(record_dir_open_with(dir_path, &f->io, &e, &d) == 0, "%s", e.msg);
    ck_assert(record_dir_is_unwritten(d, why));
    ck_assert_ptr_nonnull(strstr(why, "No space left"));
    return d;
}

START_TEST(lives_that_cannot_be_written_down_are_newer_than_all_before)
{
    struct faulty_io f = make_faulty(true);
    struct record r[2] = {make_record("vda", 3), make_record("vdb", 3)};
    struct record_dir *d = open_dir();
    uint64_t last = record_dir_incarnation(d);
    char why[RECORD_UNWRITTEN_LEN];

    commit(d, r, 2);
    record_dir_close(d);
    for (unsigned i = 0; i < 3; i++) {
        d = open_unwritten(&f);
        ck_assert_uint_gt(record_dir_incarnation(d), last);
        last = record_dir_incarnation(d);
        check_epochs(d, 2, 3);
        record_dir_close(d);
    }
    f.fail_at = 0;
    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    ck_assert_uint_gt(record_dir_incarnation(d), last);
    ck_assert(!record_dir_is_unwritten(d, why));
    record_dir_close(d);
}
END_TEST

START_TEST(an_incarnation_is_written_before_the_first_commit)
{
    struct faulty_io f = make_faulty(true);
    struct record r = make_record("vda", 3);
    struct record_dir *d = open_dir();
    char why[RECORD_UNWRITTEN_LEN];
    bool is_committed;
    uint64_t mine;

    record_dir_close(d);
    d = open_unwritten(&f);
    mine = record_dir_incarnation(d);
    ck_assert_int_eq(record_commit(d, &r, 1, NULL, &is_committed), -ENOSPC);
    f = make_faulty(false); /* there is room again */
    commit(d, &r, 1);
    ck_assert_str_eq(f.log, "cwFrD"   /* service */
                            "cwFrD"); /* the record */
    ck_assert(!record_dir_is_unwritten(d, why));
    record_dir_close(d);
    f.wall_s = 0; /* a clock that went back is no matter then */
    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    ck_assert_uint_eq(record_dir_incarnation(d), mine + 1);
    record_dir_close(d);
}
END_TEST

START_TEST(a_settle_that_fails_at_any_step_loses_nothing)
{
    struct faulty_io f = make_faulty(_i == 1);
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d = NULL;
    uint64_t epoch = 0;

    ck_assert_int_eq(record_dir_open_with(dir_path, &f.io, NULL, &d), 0);
    do {
        epoch++;
        r[0].epoch = r[1].epoch = epoch;
        f.fail_at = 0;
        commit(d, r, 2);
        f.count = 0;
        f.fail_at = (unsigned)epoch;
        (void)record_settle(d, NULL); /* fails or not, this must hold: */
        check_epochs(d, 2, epoch);
    } while (f.count >= f.fail_at);
    ck_assert_uint_gt(epoch, 8);
    record_dir_close(d);
}
END_TEST

/* Commit groups of ever higher epochs, one byte to fd for each that is done. */
static void
commit_for_ever(int fd)
{
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d = open_dir();

    if (record_load(d, "vda", NULL, &r[0]) == 0) {
        r[1].epoch = r[0].epoch;
    }
    for (;;) {
        r[0].epoch = ++r[1].epoch;
        commit(d, r, 2);
        if (write(fd, "c", 1) != 1) {
            _exit(1);
        }
    }
}

/* Let a child commit at least once, kill it at some later moment, and return how many
 * commits it had finished. */
static uint64_t
kill_a_committer(unsigned *seed)
{
    struct timespec moment = {.tv_nsec = rand_r(seed) % 3000000};
    uint64_t nr = 0;
    int fds[2], status;
    ssize_t n;
    char buf[64];
    pid_t pid;

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        commit_for_ever(fds[1]);
    }
    ck_assert_int_eq(close(fds[1]), 0);
    ck_assert_int_eq(read(fds[0], buf, 1), 1);
    (void)nanosleep(&moment, NULL); /* not to wait for anything: any moment will do */
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    while ((n = read(fds[0], buf, sizeof buf)) > 0) {
        nr += (uint64_t)n;
    }
    ck_assert_int_eq(close(fds[0]), 0);
    return nr + 1;
}

START_TEST(a_kill_at_any_moment_leaves_a_whole_group)
{
    unsigned seed = 99 + (unsigned)_i;
    uint64_t epoch = 1;

    for (int i = 0; i < 10; i++) {
        uint64_t nr = kill_a_committer(&seed), now;
        struct record_dir *d = open_dir();

        now = load(d, "vda").epoch;
        ck_assert_uint_ge(now, epoch + nr);     /* what it had said is there */
        ck_assert_uint_le(now, epoch + nr + 1); /* and at most one that it had not */
        check_epochs(d, 2, now);
        ck_assert(!has_file("group.json"));
        ck_assert_int_eq(record_store_has(d->disk_fd, ".tmp-vda.json"), 0);
        record_dir_close(d);
        epoch = now;
    }
}
END_TEST

/* Put a file system of 256 KiB at dir_path, seen by this process alone. */
static bool
mount_small(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mkdir(dir_path, 0700) == 0 &&
           mount("none", dir_path, "tmpfs", 0, "size=256k,mode=0700") == 0;
}

static void
fill_up(int fd)
{
    static const char zeroes[4096];

    while (write(fd, zeroes, sizeof zeroes) > 0) {
    }
    ck_assert_int_eq(errno, ENOSPC);
}

static void
check_full(struct record_dir *d, unsigned nr)
{
    struct record r[2] = {make_record("vda", 2), make_record("vdb", 2)};
    struct err e = {.msg = ""};
    bool is_committed = true;

    ck_assert_int_eq(record_commit(d, r, nr, &e, &is_committed), -ENOSPC);
    ck_assert(!is_committed);
    ck_assert_ptr_nonnull(strstr(e.msg, dir_path));
    check_epochs(d, 2, 1);
}

START_TEST(a_full_file_system_changes_nothing_and_can_be_helped)
{
    struct record r[2] = {make_record("vda", 1), make_record("vdb", 1)};
    struct record_dir *d;
    char path[200];
    int fd;

    if (!mount_small()) {
        (void)fprintf(stderr, "SKIPPED: a full file system: cannot mount a tmpfs: %s\n",
                      strerrordesc_np(errno));
        return;
    }
    d = open_dir();
    commit(d, r, 2);
    ck_assert_int_eq(record_settle(d, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/filler", dir_path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    fill_up(fd);
    check_full(d, 1);
    check_full(d, 2);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(close(fd), 0);
    r[0].epoch = r[1].epoch = 2;
    commit(d, r, 2);
    check_epochs(d, 2, 2);
    record_dir_close(d);
    ck_assert_int_eq(umount(dir_path), 0);
}
END_TEST

SUITE("record") = {
    CASE("directory", .setup = set_up, .teardown = tear_down),
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
    CASE("files", .setup = set_up, .teardown = tear_down),
    EACH(a_bad_record_is_refused_and_changes_nothing, spoilers),
    TEST(a_commit_of_none_of_too_many_or_of_twins_is_refused),
    EACH(a_foreign_file_is_refused, foreign),
    TEST(a_file_of_a_later_version_says_so),
    TEST(the_checksum_is_that_of_the_compact_sorted_body),
    LOOP(a_damaged_file_is_refused_or_says_the_same, 4),
    LOOP(damage_names_the_file, 3),
    TEST(a_file_that_speaks_of_another_disk_is_refused),
    TEST(a_group_that_names_a_disk_twice_is_refused),
    TEST(what_is_no_regular_file_or_too_long_is_refused),
    TEST(records_without_their_service_file_are_refused),
    CASE("faults", .setup = set_up, .teardown = tear_down),
    TEST(what_must_last_is_synced_in_the_right_order),
    LOOP(a_commit_that_fails_at_any_step_is_all_or_nothing, 6),
    LOOP(an_open_that_fails_at_any_step_loses_nothing, 2),
    TEST(lives_that_cannot_be_written_down_are_newer_than_all_before),
    TEST(an_incarnation_is_written_before_the_first_commit),
    LOOP(a_settle_that_fails_at_any_step_loses_nothing, 2),
    LOOP(a_kill_at_any_moment_leaves_a_whole_group, 10),
    TEST(a_full_file_system_changes_nothing_and_can_be_helped),
};
