/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"
#include "virt_plug_xml.h"

#define DISK(file, alias)                                                              \
    "<disk type='file' device='disk'><source file='" file "' index='1'/>"              \
    "<target dev='vda' bus='virtio'/><alias name='" alias "'/></disk>"

static bool
is_of_file(const char *xml, const char *id, const char *file)
{
    const struct plug_device d = {.id = id, .file = file};
    char alias[VIRT_ALIAS_LEN];
    const char *at;

    virt_plug_alias(&d, alias);
    at = virt_plug_find_text(xml, "alias", "name", alias);
    ck_assert_ptr_nonnull(at);
    return virt_plug_is_of_file(xml, at, &d);
}

START_TEST(file_is_that_of_the_disk_with_the_alias)
{
    const char *xml = "<domain>" DISK("/a", "ua-a") DISK("/b", "ua-b") "</domain>";

    ck_assert(is_of_file(xml, "a", "/a"));
    ck_assert(is_of_file(xml, "b", "/b"));
    ck_assert(!is_of_file(xml, "a", "/b"));
    ck_assert(!is_of_file(xml, "b", "/a"));
}
END_TEST

START_TEST(disk_without_a_source_is_of_no_file)
{
    const char *xml = "<domain>" DISK(
        "/a",
        "ua-a") "<disk type='file' device='cdrom'><alias name='ua-b'/></disk></domain>";

    ck_assert(!is_of_file(xml, "b", "/a"));
}
END_TEST

START_TEST(file_may_have_another_name)
{
    char path[] = "/tmp/baton.XXXXXX", other[sizeof path + 2], xml[512];
    const int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    (void)snprintf(other, sizeof other, "%s.2", path);
    ck_assert_int_eq(symlink(path, other), 0);
    (void)snprintf(xml, sizeof xml, DISK("%s", "ua-a"), other);
    ck_assert(is_of_file(xml, "a", path));
    (void)unlink(other);
    (void)unlink(path);
    (void)close(fd);
}
END_TEST

START_TEST(element_is_found_again)
{
    const struct plug_device d = {.id = "web", .file = "/dev/x", .is_block = true};
    char *xml = virt_plug_disk_element(&d, "vdc");

    ck_assert_ptr_nonnull(xml);
    ck_assert(is_of_file(xml, "web", "/dev/x"));
    ck_assert_ptr_nonnull(virt_plug_find_text(xml, "target", "dev", "vdc"));
    free(xml);
}
END_TEST

START_TEST(file_that_would_break_the_element_is_refused)
{
    const struct plug_device d = {.id = "web", .file = "/a'/><x y='"};

    ck_assert_ptr_null(virt_plug_disk_element(&d, "vdc"));
}
END_TEST

SUITE("virt_plug_xml") = {
    CASE("text"),
    TEST(file_is_that_of_the_disk_with_the_alias),
    TEST(disk_without_a_source_is_of_no_file),
    TEST(file_may_have_another_name),
    TEST(element_is_found_again),
    TEST(file_that_would_break_the_element_is_refused),
};
