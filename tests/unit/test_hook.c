/* SPDX-License-Identifier: BSD-3-Clause */
/* What the hook reads: a domain's XML and its own file. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "clock.h"
#include "hook.h"
#include "socket_path.h"
#include "suite.h"

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
                         "socket='/s2'/></source></disk>" TAIL,
              &e, &dom),
        0);
    ck_assert_str_eq(dom.uuid, "u");
    ck_assert_uint_eq(dom.nr, 2);
    ck_assert_str_eq(dom.disks[0].name, "a&b");
    ck_assert_str_eq(dom.disks[0].socket, "/s1");
    ck_assert_str_eq(dom.disks[1].name, "");
    ck_assert_str_eq(dom.disks[1].socket, "/s2");
    ck_assert_uint_eq(dom.nr_net, 1); /* told, not followed */
    ck_assert_str_eq(dom.net, "t");
    hook_domain_done(&dom);
}
END_TEST

#define NBD(name)                                                                      \
    "<source protocol='nbd' name='" name                                               \
    "'><host transport='unix' socket='/s'/></source>"

START_TEST(whatever_a_disk_is_made_of_is_found)
{
    static const struct {
        const char *xml, *name;
        enum hook_use use;
        bool is_backing;
    } cases[] = {
        {"<disk type='network'>" NBD("d"), "d", HOOK_WRITES, false},
        {"<disk type='network'>" NBD("d") "<readonly/>", "d", HOOK_READS, false},
        {"<disk type='network' device='cdrom'>" NBD("d"), "d", HOOK_READS, false},
        {"<disk type='network'><shareable/>" NBD("d"), "d", HOOK_SHARES, false},
        {"<disk type='file'><source file='/x'/><backingStore type='network'>" NBD(
             "base") "<backingStore/></backingStore>",
         "base", HOOK_READS, true},
        {"<disk type='file'><source file='/x'/><backingStore type='file'><source "
         "file='/y'/><backingStore type='network'>" NBD(
             "base") "</backingStore></backingStore>",
         "base", HOOK_READS, true},
        {"<disk type='file'><source file='/x'/><mirror type='network'>" NBD(
             "copy") "</mirror>",
         "copy", HOOK_WRITES, false},
        {"<disk type='file'><source file='/x'><dataStore type='network'>" NBD(
             "data") "</dataStore></source>",
         "data", HOOK_WRITES, false},
    };
    char xml[1024];
    struct err e = {.msg = ""};
    struct hook_domain dom;

    (void)snprintf(xml, sizeof xml, "%s%s</disk>%s", HEAD, cases[_i].xml, TAIL);
    ck_assert_int_eq(parse(xml, &e, &dom), 0);
    ck_assert_uint_eq(dom.nr, 1);
    ck_assert_str_eq(dom.disks[0].name, cases[_i].name);
    ck_assert_str_eq(dom.disks[0].socket, "/s");
    ck_assert_int_eq(dom.disks[0].use, cases[_i].use);
    ck_assert_int_eq(dom.disks[0].is_backing, cases[_i].is_backing);
    hook_domain_done(&dom);
}
END_TEST

static const char *
to_other_host(const void *opaque, const char *from)
{
    (void)opaque;
    return strcmp(from, "/s") == 0 ? "/other" : NULL;
}

START_TEST(every_socket_of_a_chain_is_replaced)
{
    const char *xml =
        HEAD "<disk type='network'>" NBD("d") "<backingStore type='network'>" NBD(
            "base") "</backingStore><mirror type='network'>" NBD("copy") "</mirror>"
                                                                         "</disk>" TAIL;
    const struct hook_map map = {to_other_host, NULL};
    struct err e = {.msg = ""};
    struct hook_domain dom;
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(hook_domain_rewrite(xml, strlen(xml), &map, &e, &text, &len), 0);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(hook_domain_parse(text, len, &e, &dom), 0);
    free(text);
    ck_assert_uint_eq(dom.nr, 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_str_eq(dom.disks[i].socket, "/other");
    }
    hook_domain_done(&dom);
}
END_TEST

START_TEST(what_is_handed_to_qemu_past_libvirt_is_seen)
{
    const char *xml = "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
                      "<uuid>u</uuid><devices/><qemu:commandline>"
                      "<qemu:arg value='-drive'/>"
                      "<qemu:arg value='nbd+unix:///D?socket=/run/s'/>"
                      "</qemu:commandline></domain>";
    struct err e = {.msg = ""};
    struct hook_domain dom;

    ck_assert_int_eq(parse(xml, &e, &dom), 0);
    ck_assert_str_eq(dom.arguments, "-drive\nnbd+unix:///D?socket=/run/s\n");
    hook_domain_done(&dom);
}
END_TEST

START_TEST(a_socket_has_many_paths)
{
    char folder[] = "/tmp/baton-hook.XXXXXX", link[64], file[64], other[64];
    int fd;

    ck_assert(socket_path_is_same("/run/b.nbd", "/run/b.nbd"));
    ck_assert(socket_path_is_same("/run//./b.nbd", "/run/b.nbd"));
    ck_assert(socket_path_is_same("run/b.nbd", "/run/b.nbd"));
    ck_assert(!socket_path_is_same("/run/b.nbd", "/run/c.nbd"));
    ck_assert(!socket_path_is_same("/run/b.nbd", "/run/b.nbd2"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/file", folder);
    (void)snprintf(link, sizeof link, "%s/link", folder);
    (void)snprintf(other, sizeof other, "%s/../%s/link", folder,
                   strrchr(folder, '/') + 1);
    fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    ck_assert_int_eq(symlink("file", link), 0);
    ck_assert(socket_path_is_same(file, link));
    ck_assert(socket_path_is_same(other, file));
    (void)unlink(link);
    (void)unlink(file);
    (void)rmdir(folder);
}
END_TEST

/* A service of an earlier program, which has not been started again since. */
static void *
serve_earlier(void *opaque)
{
    static const char answer[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"disks\":[{\"disk\":\"d\","
        "\"role\":\"owner\",\"owner\":\"a\",\"epoch\":1}]}}\n";
    int fd = accept(*(const int *)opaque, NULL, NULL);
    char byte = 0;

    ck_assert_int_ge(fd, 0);
    while (byte != '\n') {
        ck_assert_int_eq(read(fd, &byte, 1), 1);
    }
    ck_assert_int_eq(write(fd, answer, strlen(answer)), (ssize_t)strlen(answer));
    (void)close(fd);
    return NULL;
}

START_TEST(a_service_that_does_not_say_where_it_listens_refuses_nobody)
{
    char name[] = "d", socket[] = "/run/baton.nbd";
    struct hook_disk disk = {.name = name, .socket = socket};
    const struct hook_domain dom = {
        .name = "web", .uuid = "u", .nr = 1, .disks = &disk};
    struct hook_config c = {.nr_controls = 1, .nr_sockets = 1};
    struct err e = {.msg = ""};
    char folder[] =
        "/tmp/baton-hook.XXXXXX"; /* /tmp may be locked by who listens there */
    char text[sizeof folder + 16], *file = text + strlen("unix:");
    pthread_t thread;
    int fd, rc;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(text, sizeof text, "unix:%s/ctl", folder);
    (void)snprintf(c.sockets[0], sizeof c.sockets[0], "%s", disk.socket);
    ck_assert_int_eq(uri_parse(text, URI_FOR_CONTROL, &e, &c.controls[0]), 0);
    rc = uri_listen(&c.controls[0], 0600, &e, &fd);
    ck_assert_msg(rc == 0, "%s", e.msg);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_earlier, &fd), 0);
    rc = hook_coming(&c, &dom, clock_deadline_ns(20 * NS_PER_S), &e);
    ck_assert_msg(rc == 0, "%s", e.msg);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)close(fd);
    (void)unlink(file);
    (void)rmdir(folder);
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

SUITE("hook") = {
    CASE("hook", .setup = set_up, .teardown = tear_down),
    TEST(nbd_disks_on_unix_sockets_are_found_and_no_others),
    LOOP(whatever_a_disk_is_made_of_is_found, 8),
    TEST(every_socket_of_a_chain_is_replaced),
    TEST(what_is_handed_to_qemu_past_libvirt_is_seen),
    TEST(a_socket_has_many_paths),
    TEST(a_service_that_does_not_say_where_it_listens_refuses_nobody),
    LOOP(what_is_no_domain_is_refused, 6),
    TEST(more_disks_than_there_is_room_for_are_refused),
    TEST(every_key_of_the_file_is_taken),
    LOOP(a_mistake_in_the_file_is_named_with_its_line, 9),
    TEST(only_four_events_mean_anything),
};
