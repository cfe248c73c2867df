/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "suite.h"
#include "target.h"

static struct target
parse(const char *text, bool may_be_all)
{
    struct target t;

    ck_assert_int_eq(target_parse(text, may_be_all, &t), 0);
    ck_assert_str_eq(t.text, text);
    return t;
}

START_TEST(a_disk_is_meant_by_its_name_whatever_its_vm)
{
    struct target t = parse("web-root", true);

    ck_assert_int_eq(t.kind, TARGET_DISK);
    ck_assert(target_has(&t, "web", "web-root"));
    ck_assert(!target_has(&t, "web-root", "data"));
}
END_TEST

START_TEST(a_vm_is_meant_with_all_its_disks_and_no_other)
{
    struct target t = parse("vm:web", true);

    ck_assert_int_eq(t.kind, TARGET_VM);
    ck_assert(target_has(&t, "web", "root"));
    ck_assert(target_has(&t, "web", "data"));
    ck_assert(!target_has(&t, "", "web"));
    ck_assert(!target_has(&t, "webs", "root"));
}
END_TEST

START_TEST(all_is_a_disks_name_unless_a_command_can_be_about_all)
{
    struct target every = parse("all", true), one = parse("all", false);

    ck_assert_int_eq(every.kind, TARGET_ALL);
    ck_assert(target_has(&every, "", "root"));
    ck_assert_int_eq(one.kind, TARGET_DISK);
    ck_assert(!target_has(&one, "", "root"));
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
    static const char *const bad[] = {"", "vm:", "vm:vm:web", "a/b", "-a", "vm:-a"};
    char too_long[NAME_MAX_LEN + 5] = "vm:";
    struct target t;

    memset(too_long + 3, 'a', NAME_MAX_LEN + 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(target_parse(bad[i], true, &t), -EINVAL);
    }
    ck_assert_int_eq(target_parse(too_long, true, &t), -EINVAL);
    too_long[NAME_MAX_LEN + 3] = '\0';
    parse(too_long, true);
}
END_TEST

START_TEST(the_target_of_a_disk_is_its_vm_if_it_has_one)
{
    struct target of_vm = target_of("web", "root"), alone = target_of("", "root");

    ck_assert_str_eq(of_vm.text, "vm:web");
    ck_assert_int_eq(of_vm.kind, TARGET_VM);
    ck_assert_str_eq(alone.text, "root");
    ck_assert_int_eq(alone.kind, TARGET_DISK);
}
END_TEST

SUITE("target") = {
    CASE("target"),
    TEST(a_disk_is_meant_by_its_name_whatever_its_vm),
    TEST(a_vm_is_meant_with_all_its_disks_and_no_other),
    TEST(all_is_a_disks_name_unless_a_command_can_be_about_all),
    TEST(what_is_no_name_is_refused),
    TEST(the_target_of_a_disk_is_its_vm_if_it_has_one),
};
