/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>

#include "record_rig.h"
#include "record_vm.h"
#include "suite.h"

static struct record_dir *dir;

static void
set_up(void)
{
    rig_set_up();
    dir = open_dir();
}

static void
tear_down(void)
{
    record_dir_close(dir);
    rig_tear_down();
}

START_TEST(a_vm_that_is_written_down_is_read_until_it_is_nobody)
{
    struct record_vm vm = {.uuid = UUID, .name = "a web server"}, read;
    struct err e = {{0}};

    record_vm_read(dir, "vda", &read);
    ck_assert_str_eq(read.uuid, "");
    ck_assert_int_eq(record_vm_write(dir, "vda", &vm, &e), 0);
    record_vm_read(dir, "vda", &read);
    ck_assert_str_eq(read.uuid, UUID);
    ck_assert_str_eq(read.name, "a web server");
    ck_assert(!read.is_gone);
    vm.is_gone = true;
    ck_assert_int_eq(record_vm_write(dir, "vda", &vm, &e), 0);
    record_vm_read(dir, "vda", &read);
    ck_assert_str_eq(read.name, "a web server");
    ck_assert(read.is_gone);
    vm.is_gone = false;
    vm.is_reader = true;
    ck_assert_int_eq(record_vm_write(dir, "vda", &vm, &e), 0);
    record_vm_read(dir, "vda", &read);
    ck_assert(read.is_reader && !read.is_gone && !read.is_shared);
    record_vm_read(dir, "vdb", &read);
    ck_assert_str_eq(read.uuid, "");
    vm.uuid[0] = '\0';
    ck_assert_int_eq(record_vm_write(dir, "vda", &vm, &e), 0);
    ck_assert_int_eq(record_vm_write(dir, "vda", &vm, &e), 0);
    ck_assert(!has_file("disk/vda.vm"));
}
END_TEST

START_TEST(what_is_no_such_line_is_not_believed)
{
    static const struct {
        const char *text;
        size_t len;
    } texts[] = {
        {"", 0},
        {"\n", 1},
        {UUID, 36},
        {UUID "\n", 37},
        {UUID " web", 40},
        {UUID " web\n" UUID " web\n", 82},
        {UUID " web\ngone", 45},
        {UUID " web\nGone\n", 46},
        {"X" UUID " web\n", 42},
        {UUID " w\0b\n", 41},
        {"0123abcd_4567-89ef-0123-456789abcdef web\n", 41},
    };
    struct record_vm read;

    write_file("disk/vda.vm", texts[_i].text, texts[_i].len);
    record_vm_read(dir, "vda", &read);
    ck_assert_str_eq(read.uuid, "");
    ck_assert_str_eq(read.name, "");
}
END_TEST

SUITE("record_vm") = {
    CASE("record_vm", .setup = set_up, .teardown = tear_down),
    TEST(a_vm_that_is_written_down_is_read_until_it_is_nobody),
    LOOP(what_is_no_such_line_is_not_believed, 11),
};
