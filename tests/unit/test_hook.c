/* SPDX-License-Identifier: BSD-3-Clause */
/* What the hook reads: a domain's XML and its own file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "clock.h"
#include "hook.h"

#define HEAD "<domain><uuid>u</uuid><devices>"
#define TAIL "</devices></domain>"
#define DISK(name, socket)                                                             \
    "<disk type='network'><source protocol='nbd' name='" name                          \
    "'><host transport='unix' socket='" socket "'/></source></disk>"

static char path[64];

static void
set_up(void)
{
    (void)snprintf(path, sizeof path, "/tmp/baton-hook.XXXXXX");
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

static void
tear_down(void)
{
    (void)unlink(path);
}

static int
parse(const char *xml, struct err *e, struct hook_domain *dom)
{
    return hook_domain_parse(xml, strlen(xml), e, dom);
}

START_TEST(nbd_disks_on_unix_sockets_are_found_and_no_others)
{
    struct err e = {.msg = ""};
    struct hook_domain dom;

    ck_assert_int_eq(
        parse(HEAD "<disk type='file'><source file='/x'/></disk><interface/>" DISK(
                  "a&amp;b",
                  "/s1") "<disk type='network'><source protocol='nbd' name='t'><host "
                         "name='h' "
                         "port='1'/></source></disk>"
                         "<disk type='network'><source protocol='rbd' name='r'><host "
                         "transport='unix' socket='/s9'/></source></disk>"
                         "<disk type='network'><source protocol='nbd'><host "
                         "transport='unix' "
                         "socket='/s2'/></source><backingStore type='network'><source "
                         "protocol='nbd' name='backing'><host transport='unix' "
                         "socket='/s3'/></source></backingStore></disk>" TAIL,
              &e, &dom),
        0);
    ck_assert_str_eq(dom.uuid, "u");
    ck_assert_uint_eq(dom.nr, 2);
    ck_assert_str_eq(dom.disks[0].name, "a&b");
    ck_assert_str_eq(dom.disks[0].socket, "/s1");
    ck_assert_str_eq(dom.disks[1].name, "");
    ck_assert_str_eq(dom.disks[1].socket, "/s2");
    hook_domain_done(&dom);
}
END_TEST

START_TEST(what_is_no_domain_is_refused)
{
    static const char *const bad[] = {
        "", "x", "<network/>", "<domain>", HEAD,
        /* An entity would be a file of the host's. */
        "<!DOCTYPE d [<!ENTITY x SYSTEM '/etc/hostname'>]><network>&x;</network>"};
    struct err e = {.msg = ""};
    struct hook_domain dom;

    ck_assert_int_eq(parse(bad[_i], &e, &dom), -EINVAL);
    ck_assert(e.msg[0] != '\0');
}
END_TEST

START_TEST(more_disks_than_there_is_room_for_are_refused)
{
    AUTO_FREE char *xml = malloc((HOOK_MAX_DISKS + 1) * sizeof DISK("d", "/s") + 128);
    struct err e = {.msg = ""};
    struct hook_domain dom;
    char *end;

    end = stpcpy(xml, HEAD);
    for (unsigned i = 0; i <= HOOK_MAX_DISKS; i++) {
        end = stpcpy(end, DISK("d", "/s"));
    }
    (void)stpcpy(end, TAIL);
    ck_assert_int_eq(parse(xml, &e, &dom), -E2BIG);
}
END_TEST

static int
load(const char *text, struct err *e, struct hook_config *c)
{
    FILE *f = fopen(path, "we");

    ck_assert_ptr_nonnull(f);
    (void)fputs(text, f);
    (void)fclose(f);
    return hook_config_load(path, e, c);
}

START_TEST(every_key_of_the_file_is_taken)
{
    struct err e = {.msg = ""};
    struct hook_config c;

    ck_assert_msg(load("# a comment\n\ncontrol=unix:/c\n control = unix:/d # two\n"
                       "socket = /s\npeer = ssh://h/p\nmap = /x   /y\n"
                       "timeout = 500ms\npolicy = early\n",
                       &e, &c) == 0,
                  "%s", e.msg);
    ck_assert_uint_eq(c.nr_controls, 2);
    ck_assert_str_eq(c.controls[1].text, "unix:/d");
    ck_assert_str_eq(c.sockets[0], "/s");
    ck_assert_str_eq(c.peers[0].text, "ssh://h/p");
    ck_assert_str_eq(c.maps[0].from, "/x");
    ck_assert_str_eq(c.maps[0].to, "/y");
    ck_assert_uint_eq(c.timeout_ns, 500 * NS_PER_MS);
    ck_assert(c.is_early);
    ck_assert_int_eq(load("control = unix:/c\n", &e, &c), 0);
    ck_assert_uint_eq(c.timeout_ns, 2 * NS_PER_S);
    ck_assert(!c.is_early);
}
END_TEST

START_TEST(a_mistake_in_the_file_is_named_with_its_line)
{
    static const struct {
        const char *text, *fragment;
    } bad[] = {
        {"", "no control = URI"},
        {"control = unix:/c\nhost = x\n", ":2: host: no such key; allowed: control"},
        {"control\n", ":1: \"control\": key = value expected"},
        {"control = http://h\n", ":1: control: "},
        {"socket = run/s\n", "absolute path"},
        {"map = /x\n", "absolute path"},
        {"timeout = 1h\n", ":1: timeout: "},
        {"timeout = 1ms\n", "allowed: 50ms to 60s"},
        {"policy = now\n", "allowed: late, early"},
    };
    struct err e = {.msg = ""};
    struct hook_config c;

    ck_assert_int_eq(load(bad[_i].text, &e, &c), -EINVAL);
    ck_assert_msg(strstr(e.msg, bad[_i].fragment) != NULL, "%s", e.msg);
}
END_TEST

START_TEST(only_four_events_mean_anything)
{
    ck_assert_int_eq(hook_event_of("prepare", "begin"), HOOK_COMING);
    ck_assert_int_eq(hook_event_of("release", "end"), HOOK_GONE);
    ck_assert_int_eq(hook_event_of("migrate", "begin"), HOOK_REWRITE);
    ck_assert_int_eq(hook_event_of("restore", "begin"), HOOK_RESTORED);
    ck_assert_int_eq(hook_event_of("reconnect", "begin"), HOOK_NOTHING);
    ck_assert_int_eq(hook_event_of("stopped", "end"), HOOK_NOTHING);
    ck_assert_int_eq(hook_event_of("prepare", "end"), HOOK_NOTHING);
    ck_assert_int_eq(hook_event_of("", ""), HOOK_NOTHING);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("hook");
    TCase *tc = tcase_create("hook");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, nbd_disks_on_unix_sockets_are_found_and_no_others);
    tcase_add_loop_test(tc, what_is_no_domain_is_refused, 0, 6);
    tcase_add_test(tc, more_disks_than_there_is_room_for_are_refused);
    tcase_add_test(tc, every_key_of_the_file_is_taken);
    tcase_add_loop_test(tc, a_mistake_in_the_file_is_named_with_its_line, 0, 9);
    tcase_add_test(tc, only_four_events_mean_anything);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
