/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of the state directory that are damaged, of somebody else, or of another
 * version. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "record_json.h"
#include "record_rig.h"
#include "suite.h"

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

SUITE("record_files") = {
    CASE("files", .setup = rig_set_up, .teardown = rig_tear_down),
    EACH(a_foreign_file_is_refused, foreign),
    TEST(a_file_of_a_later_version_says_so),
    TEST(the_checksum_is_that_of_the_compact_sorted_body),
    LOOP(a_damaged_file_is_refused_or_says_the_same, 4),
    LOOP(damage_names_the_file, 3),
    TEST(a_file_that_speaks_of_another_disk_is_refused),
    TEST(a_group_that_names_a_disk_twice_is_refused),
    TEST(what_is_no_regular_file_or_too_long_is_refused),
    TEST(records_without_their_service_file_are_refused),
};
