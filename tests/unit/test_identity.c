/* SPDX-License-Identifier: BSD-3-Clause */
/* Is the other device the same device? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "identity.h"
#include "port_mem.h"
#include "suite.h"

#define SIZE (1024 * 1024)

static struct port *ours, *theirs;
static struct identity before, after, other;

static void
write_at(struct port *p, uint64_t off, char c)
{
    const struct req rq = {.op = REQ_WRITE, .len = 1, .off = off, .buf = &c};

    ck_assert_int_eq(port_submit(p, &rq), 0);
}

static void
set_up(void)
{
    ck_assert_int_eq(port_mem_new(SIZE, &ours), 0);
    ck_assert_int_eq(port_mem_new(SIZE, &theirs), 0);
}

static void
tear_down(void)
{
    port_close(ours);
    port_close(theirs);
}

static int
compare(struct err *e)
{
    ck_assert_int_eq(identity_take(ours, &ours->info, e, &before), 0);
    ck_assert_int_eq(identity_take(theirs, &ours->info, e, &other), 0);
    ck_assert_int_eq(identity_take(ours, &ours->info, e, &after), 0);
    (void)snprintf(before.device_id, sizeof before.device_id, "file:8:1:42@B");
    (void)snprintf(other.device_id, sizeof other.device_id, "file:8:1:42@B");
    return identity_compare(&before, &after, &other, e);
}

START_TEST(the_same_contents_are_the_same_device)
{
    struct err e = {0};

    ck_assert_int_eq(compare(&e), 0);
}
END_TEST

START_TEST(another_last_block_is_another_device)
{
    struct err e = {0};

    write_at(theirs, SIZE - 1, 'x');
    ck_assert_int_eq(compare(&e), -EILSEQ);
    ck_assert_ptr_nonnull(strstr(e.msg, "other contents"));
}
END_TEST

START_TEST(a_block_that_is_being_written_proves_nothing)
{
    struct err e = {0};

    write_at(theirs, 0, 'x');
    ck_assert_int_eq(compare(&e), -EILSEQ);
    write_at(ours, 0, 'x');
    ck_assert_int_eq(identity_take(ours, &ours->info, &e, &after), 0);
    ck_assert_int_eq(identity_compare(&before, &after, &other, &e), 0);
}
END_TEST

START_TEST(another_inode_of_one_host_is_another_device)
{
    struct err e = {0};

    ck_assert_int_eq(compare(&e), 0);
    (void)snprintf(other.device_id, sizeof other.device_id, "file:8:1:43@B");
    ck_assert_int_eq(identity_compare(&before, &after, &other, &e), -EINVAL);
    (void)snprintf(other.device_id, sizeof other.device_id, "file:8:1:43@C");
    ck_assert_int_eq(identity_compare(&before, &after, &other, &e), 0);
}
END_TEST

START_TEST(another_size_is_another_device_unless_it_has_the_same_name)
{
    struct err e = {0};

    port_close(theirs);
    ck_assert_int_eq(port_mem_new(2 * SIZE, &theirs), 0);
    ck_assert_int_eq(compare(&e), 0); /* it has grown, and we have not seen it yet */
    (void)snprintf(other.device_id, sizeof other.device_id, "file:8:1:42@C");
    ck_assert_int_eq(identity_compare(&before, &after, &other, &e), -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.msg, "the size is"));
    before.device_size = 2 * SIZE; /* we have */
    ck_assert_int_eq(identity_compare(&before, &after, &other, &e), 0);
    ck_assert_int_eq(identity_take(ours, &theirs->info, &e, &other), -EINVAL);
}
END_TEST

START_TEST(one_inode_of_one_kernel_has_one_page_cache_and_nothing_else_has)
{
    static const struct {
        const char *mine, *theirs;
        bool is_shared;
    } rows[] = {
        {"file:8:1:42@B", "file:8:1:42@B", true},
        {"bdev:8:1@B", "bdev:8:1@B", true},
        {"file:8:1:42@B", "file:8:1:42@C", false},
        {"file:8:1:42@B", "file:8:1:43@B", false},
        {"wwn:5000", "wwn:5000", false}, /* perhaps by two paths */
        {"", "", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(before.device_id, sizeof before.device_id, "%s", rows[i].mine);
        (void)snprintf(other.device_id, sizeof other.device_id, "%s", rows[i].theirs);
        ck_assert_msg(identity_shares_cache(&before, &other) == rows[i].is_shared,
                      "%s and %s", rows[i].mine, rows[i].theirs);
    }
}
END_TEST

START_TEST(what_is_parked_may_be_moved_and_nothing_else)
{
    struct err e = {0};

    ck_assert_int_eq(compare(&e), 0);
    (void)snprintf(other.device_id, sizeof other.device_id, "file:8:1:43@B");
    ck_assert_int_eq(identity_compare_parked(&before, false, &other, &e), 0);
    /* It is still in its place, so that one is a copy. */
    ck_assert_int_eq(identity_compare_parked(&before, true, &other, &e), -EINVAL);
    (void)snprintf(before.device_id, sizeof before.device_id, "wwn:naa.1");
    (void)snprintf(other.device_id, sizeof other.device_id, "wwn:naa.2");
    ck_assert_int_eq(identity_compare_parked(&before, false, &other, &e), -EINVAL);
    (void)snprintf(other.device_id, sizeof other.device_id, "wwn:naa.1");
    ck_assert_int_eq(identity_compare_parked(&before, false, &other, &e), 0);
    write_at(theirs, 0, 'x');
    ck_assert_int_eq(identity_take(theirs, &ours->info, &e, &other), 0);
    ck_assert_int_eq(identity_compare_parked(&before, false, &other, &e), -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.msg, "other contents"));
}
END_TEST

START_TEST(an_identity_survives_json_and_anything_else_is_refused)
{
    struct identity back;
    struct err e = {0};
    json_t *j;

    ck_assert_int_eq(compare(&e), 0);
    j = identity_to_json(&before);
    ck_assert_int_eq(identity_from_json(j, &e, &back), 0);
    ck_assert_str_eq(back.device_id, before.device_id);
    ck_assert_int_eq(memcmp(back.samples, before.samples, sizeof back.samples), 0);
    json_array_remove(json_object_get(j, "samples"), 0);
    ck_assert_int_eq(identity_from_json(j, &e, &back), -EBADMSG);
    ck_assert_int_eq(identity_from_json(NULL, &e, &back), -EBADMSG);
    json_decref(j);
}
END_TEST

SUITE("identity") = {
    CASE("identity", .setup = set_up, .teardown = tear_down),
    TEST(the_same_contents_are_the_same_device),
    TEST(another_last_block_is_another_device),
    TEST(a_block_that_is_being_written_proves_nothing),
    TEST(another_inode_of_one_host_is_another_device),
    TEST(another_size_is_another_device_unless_it_has_the_same_name),
    TEST(one_inode_of_one_kernel_has_one_page_cache_and_nothing_else_has),
    TEST(what_is_parked_may_be_moved_and_nothing_else),
    TEST(an_identity_survives_json_and_anything_else_is_refused),
};
