/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings that are good each, and what they are together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "config_rig.h"
#include "suite.h"

/* Set a disk= whose device is in the test's folder. */
static void
set_disk_in_folder(const char *name, const char *device)
{
    char text[256];

    (void)snprintf(text, sizeof text, "name=%s,device=%s/%s", name, folder, device);
    ck_assert_int_eq(set_option("disk", text), 0);
}

static void
make_symlink(const char *target)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/link", folder);
    ck_assert_int_eq(symlink(target, path), 0);
}

START_TEST(peers_allowed_may_be_machines_of_vsock)
{
    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "x,peers-allowed=vsock:3");
    ck_assert_int_eq(set_option("control", "vsock:10810"), 0);
    ck_assert_int_eq(set_option("announce-control", "vsock:2:10810"), 0);
    ck_assert_msg(config_complete(&config, &err) == 0, "%s", err.msg);
}
END_TEST

START_TEST(a_complete_service_gets_a_state_dir_and_no_control)
{
    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "x");
    ck_assert_int_eq(config_complete(&config, &err), 0);
    ck_assert_str_eq(config.state_dir, "/var/lib/baton/a");
    ck_assert(!config.has_control);
}
END_TEST

/* Settings as KEY=VALUE, and what is said when they meet. */
static const struct {
    const char *settings[4], *says;
} together[] = {
    {{"listen=tcp:10.0.0.1:10809"}, "tcp:10.0.0.1:10809: without TLS tcp is for loopb"},
    {{"listen=tcp:0.0.0.0:10809"}, "without TLS tcp is for loopback"},
    {{"announce=tcp:host-a:10809"},
     "tcp:host-a:10809: without TLS tcp is for loopback"},
    {{"control=tcp:127.0.0.1:1"}, "tcp:127.0.0.1:1: control over tcp needs TLS"},
    {{"control=tcp:127.0.0.1:1", "insecure-plain-tcp=on"},
     "control over tcp needs TLS"},
    {{"peer=tcp:host-b:1"}, "tcp:host-b:1: control over tcp needs TLS"},
    {{"handoff-on-term=tcp:host-b:1"}, "control over tcp needs TLS"},
    {{"insecure-plain-tcp=on", "listen=tcp:0.0.0.0:10809"}, "give announce"},
    {{"listen=vsock:1"}, "others cannot connect to vsock:1; give announce"},
    {{"control=vsock:1"}, "others cannot connect to vsock:1; give announce-control"},
    {{"tls-certificates=/x", "tls-psk=/y"}, "contradict each other"},
    {{"tls-psk=/y"}, "tls-psk and tls-psk-user need each other"},
    {{"tls-psk-user=a"}, "tls-psk and tls-psk-user need each other"},
    {{"tls-certificates=/x", "insecure-plain-tcp=on"},
     "insecure-plain-tcp=on contradi"},
    {{"disk=name=E,device=/nonexistent/e,peers-allowed=b"},
     "disk E: peers-allowed: wit"},
    {{"tls-certificates=/nonexistent"}, "TLS: /nonexistent/ca-cert.pem: No such file"},
    {{"tls-psk=/nonexistent", "tls-psk-user=a"}, "TLS: /nonexistent: No such file"},
};

START_TEST(settings_that_do_not_go_together_are_refused)
{
    const char *const *s = together[_i].settings;

    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "x");
    for (; *s != NULL; s++) {
        char key[32];
        const char *equals = strchr(*s, '=');

        (void)snprintf(key, sizeof key, "%.*s", (int)(equals - *s), *s);
        ck_assert_msg(set_option(key, equals + 1) == 0, "%s", err.msg);
    }
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says(together[_i].says);
}
END_TEST

START_TEST(plain_tcp_leaves_the_host_only_when_asked_for_by_its_name)
{
    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "x");
    ck_assert_int_eq(set_option("listen", "tcp:10.0.0.1:10809"), 0);
    ck_assert_int_eq(set_option("insecure-plain-tcp", "on"), 0);
    ck_assert_int_eq(config_complete(&config, &err), 0);
}
END_TEST

START_TEST(a_service_without_name_or_disks_is_not_complete)
{
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says("the service has no name");
    ck_assert_int_eq(set_option("name", "a"), 0);
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says("there is no disk to serve");
}
END_TEST

START_TEST(two_disks_of_one_name_are_refused)
{
    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "x");
    set_disk_in_folder("E", "y");
    set_disk_in_folder("D", "z");
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says("disk D is given twice");
}
END_TEST

START_TEST(two_disks_of_one_uuid_are_refused)
{
    ck_assert_int_eq(set_option("name", "a"), 0);
    ck_assert_int_eq(set_option("disk", "name=D,device=/x,uuid=" UUID_UPPER), 0);
    ck_assert_int_eq(set_option("disk", "name=E,device=/y,uuid=" UUID), 0);
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says("disks D and E have the same uuid " UUID);
}
END_TEST

START_TEST(two_disks_of_one_file_are_refused_by_any_name)
{
    char x[128];

    (void)snprintf(x, sizeof x, "%s/x", folder);
    ck_assert_int_eq(mknod(x, S_IFREG | 0600, 0), 0);
    make_symlink(x);
    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "x");
    set_disk_in_folder("E", "link");
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says("disks D and E have the same device (");
}
END_TEST

START_TEST(two_disks_of_one_missing_file_are_refused_by_any_folder_name)
{
    make_symlink(folder);
    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "missing");
    set_disk_in_folder("E", "link/missing");
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says("have the same device");
}
END_TEST

START_TEST(a_socket_is_not_both_listener_and_control)
{
    ck_assert_int_eq(set_option("name", "a"), 0);
    set_disk_in_folder("D", "x");
    ck_assert_int_eq(set_option("listen", "unix:/s"), 0);
    ck_assert_int_eq(set_option("control", "unix:/s"), 0);
    ck_assert_int_eq(config_complete(&config, &err), -EINVAL);
    assert_says("unix:/s is given as listen and as control");
}
END_TEST

START_TEST(the_4097th_disk_is_refused)
{
    char name[16];

    ck_assert_int_eq(set_option("name", "a"), 0);
    for (int i = 0; i < CONFIG_MAX_DISKS; i++) {
        (void)snprintf(name, sizeof name, "d%d", i);
        set_disk_in_folder(name, name);
    }
    ck_assert_int_eq(set_option("disk", "name=D,device=/x"), -EINVAL);
    assert_says("--x: too many disks; allowed: at most 4096");
    ck_assert_int_eq(config_complete(&config, &err), 0);
}
END_TEST

SUITE("config_complete") = {
    CASE("config_complete", .setup = rig_set_up, .teardown = rig_tear_down),
    TEST(peers_allowed_may_be_machines_of_vsock),
    TEST(a_complete_service_gets_a_state_dir_and_no_control),
    EACH(settings_that_do_not_go_together_are_refused, together),
    TEST(plain_tcp_leaves_the_host_only_when_asked_for_by_its_name),
    TEST(a_service_without_name_or_disks_is_not_complete),
    TEST(two_disks_of_one_name_are_refused),
    TEST(two_disks_of_one_uuid_are_refused),
    TEST(two_disks_of_one_file_are_refused_by_any_name),
    TEST(two_disks_of_one_missing_file_are_refused_by_any_folder_name),
    TEST(a_socket_is_not_both_listener_and_control),
    TEST(the_4097th_disk_is_refused),
};
