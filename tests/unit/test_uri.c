/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "clock.h"
#include "suite.h"
#include "uri.h"

#define PATH_107                                                                       \
    "/p6789012345678901234567890123456789012345678901234567890"                        \
    "12345678901234567890123456789012345678901234567890"

static char folder[64];
static char text[600];

static void
make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/baton-uri-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
remove_folder(void)
{
    static const char *const names[] = {"s", "ssh", "argv"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path); /* most tests make only some of them */
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

static struct uri
parse(enum uri_use use, const char *s)
{
    struct err e = {.msg = ""};
    struct uri u;

    ck_assert_msg(uri_parse(s, use, &e, &u) == 0, "%s", e.msg);
    return u;
}

/* unix:<folder>/s */
static struct uri
socket_uri(void)
{
    (void)snprintf(text, sizeof text, "unix:%s/s", folder);
    return parse(URI_FOR_CONTROL_LISTEN, text);
}

static const struct {
    enum uri_use use;
    const char *s;
} good[] = {
    {URI_FOR_LISTEN, "unix:/run/x y.nbd"},
    {URI_FOR_LISTEN, "unix:" PATH_107},
    {URI_FOR_LISTEN, "tcp:127.0.0.1:1"},
    {URI_FOR_LISTEN, "tcp:127.255.3.4:65535"},
    {URI_FOR_LISTEN, "tcp:localhost:10809"},
    {URI_FOR_LISTEN, "tcp:[::1]:10809"},
    {URI_FOR_LISTEN, "vsock:10809"},
    {URI_FOR_CONTROL_LISTEN, "unix:/x"},
    {URI_FOR_CONTROL_LISTEN, "vsock:10810"},
    {URI_FOR_CONTROL, "unix:/x"},
    {URI_FOR_LISTEN, "tcp:0.0.0.0:10809"},
    {URI_FOR_CONTROL_LISTEN, "tcp:10.0.0.1:10810"},
    {URI_FOR_CONTROL, "tcp:host-b.example:10810"},
    {URI_FOR_CONTROL, "tcp:[fd00::1]:10810"},
    {URI_FOR_CHANNEL, "tcp:10.0.0.1:10809"},
    {URI_FOR_CONTROL, "vsock:2:4294967294"},
    {URI_FOR_CONTROL, "ssh://host/run/x"},
    {URI_FOR_CONTROL, "ssh://me@host.example/run/x"},
    {URI_FOR_CHANNEL, "unix:/x"},
    {URI_FOR_CHANNEL, "tcp:127.0.0.1:10809"},
    {URI_FOR_CHANNEL, "vsock:3:10809"},
};

START_TEST(an_allowed_form_is_accepted_and_kept_as_given)
{
    ck_assert_str_eq(parse(good[_i].use, good[_i].s).text, good[_i].s);
}
END_TEST

static const struct {
    enum uri_use use;
    const char *s, *says;
} bad[] = {
    {URI_FOR_LISTEN, "", "unknown kind"},
    {URI_FOR_LISTEN, "/run/x", "unknown kind"},
    {URI_FOR_LISTEN, "UNIX:/x", "unknown kind"},
    {URI_FOR_LISTEN, "nbd://x/", "unknown kind"},
    {URI_FOR_LISTEN, "unix:", "absolute"},
    {URI_FOR_LISTEN, "unix:x", "absolute"},
    {URI_FOR_LISTEN, "unix:@x", "absolute"},
    {URI_FOR_LISTEN, "unix:" PATH_107 "x", "107"},
    {URI_FOR_LISTEN, "unix:/x\ny", "control characters"},
    {URI_FOR_LISTEN, "unix:/x\177", "control characters"},
    {URI_FOR_LISTEN, "unix:/\xff", "UTF-8"},
    {URI_FOR_LISTEN, "tcp:", "port is missing"},
    {URI_FOR_LISTEN, "tcp:127.0.0.1", "port is missing"},
    {URI_FOR_LISTEN, "tcp::1", "host is missing"},
    {URI_FOR_LISTEN, "tcp:127.0.0.1:", "1 to 65535"},
    {URI_FOR_LISTEN, "tcp:127.0.0.1:0", "1 to 65535"},
    {URI_FOR_LISTEN, "tcp:127.0.0.1:65536", "1 to 65535"},
    {URI_FOR_LISTEN, "tcp:127.0.0.1:+1", "1 to 65535"},
    {URI_FOR_LISTEN, "tcp:127.0.0.1:1x", "1 to 65535"},
    {URI_FOR_LISTEN, "tcp:127.0.0.1:99999999999999999999", "1 to 65535"},
    {URI_FOR_LISTEN, "tcp:::1:10809", "[ ]"},
    {URI_FOR_LISTEN, "tcp:[::1:10809", "[ ]"},
    {URI_FOR_LISTEN, "tcp:[127.0.0.1]:10809", "[ ]"},
    {URI_FOR_LISTEN, "tcp:[]:10809", "host is missing"},
    {URI_FOR_LISTEN, "tcp:[:10809", "[ ]"},
    {URI_FOR_LISTEN, "tcp:127.1:10809", "in numbers"},
    {URI_FOR_LISTEN, "tcp:localhost.evil:10809", "in numbers"},
    {URI_FOR_CONTROL_LISTEN, "tcp:host-a:1", "in numbers"},
    {URI_FOR_CONTROL, "tcp:127.1:1", "neither an address nor a name"},
    {URI_FOR_CONTROL, "tcp:-host:1", "neither an address nor a name"},
    {URI_FOR_CONTROL, "tcp:.host:1", "neither an address nor a name"},
    {URI_FOR_CONTROL, "tcp:a b:1", "neither an address nor a name"},
    {URI_FOR_CHANNEL, "tcp:a/b:1", "neither an address nor a name"},
    {URI_FOR_CHANNEL, "tcp:256.0.0.1:1", "neither an address nor a name"},
    {URI_FOR_LISTEN, "vsock:2:10809", "no CID"},
    {URI_FOR_LISTEN, "vsock:", "4294967294"},
    {URI_FOR_LISTEN, "vsock:4294967295", "4294967294"},
    {URI_FOR_LISTEN, "vsock:010809", "4294967294"},
    {URI_FOR_LISTEN, "ssh://host/x", "not possible here"},
    {URI_FOR_CHANNEL, "vsock:10809", "CID or the port is missing"},
    {URI_FOR_CHANNEL, "vsock::10809", "CID must be"},
    {URI_FOR_CHANNEL, "vsock:4294967295:10809", "CID must be"},
    {URI_FOR_CHANNEL, "vsock:2:1:1", "port must be"},
    {URI_FOR_CHANNEL, "ssh://host/x", "not possible here"},
    {URI_FOR_CONTROL_LISTEN, "vsock:2:1", "no CID"},
    {URI_FOR_CONTROL_LISTEN, "ssh://host/x", "not possible here"},
    {URI_FOR_CONTROL, "ssh:host/x", "unknown kind"},
    {URI_FOR_CONTROL, "ssh://host", "path is missing"},
    {URI_FOR_CONTROL, "ssh://host/", "path is missing"},
    {URI_FOR_CONTROL, "ssh:///x", "host is missing"},
    {URI_FOR_CONTROL, "ssh://-oProxyCommand=x/x", "host and user"},
    {URI_FOR_CONTROL, "ssh://me@-x/x", "host and user"},
    {URI_FOR_CONTROL, "ssh://me@/x", "host and user"},
    {URI_FOR_CONTROL, "ssh://@host/x", "host and user"},
    {URI_FOR_CONTROL, "ssh://a@b@c/x", "host and user"},
    {URI_FOR_CONTROL, "ssh://host:22/x", "ssh_config"},
    {URI_FOR_CONTROL, "ssh://host/x;reboot", "only letters"},
    {URI_FOR_CONTROL, "ssh://host/$(reboot)", "only letters"},
    {URI_FOR_CONTROL, "ssh://host/a b", "only letters"},
};

START_TEST(a_bad_uri_is_refused_with_its_reason)
{
    struct err e = {.msg = ""};
    struct uri u = {.port = 77};

    ck_assert_int_eq(uri_parse(bad[_i].s, bad[_i].use, &e, &u), -EINVAL);
    ck_assert_msg(strstr(e.msg, bad[_i].says) != NULL, "%s", e.msg);
    ck_assert_uint_eq(u.port, 77); /* written on success only */
}
END_TEST

START_TEST(a_refusal_names_the_uri_and_the_allowed_forms)
{
    struct err e = {.msg = ""};
    struct uri u;

    ck_assert_int_eq(uri_parse("ssh://a/b", URI_FOR_CHANNEL, &e, &u), -EINVAL);
    ck_assert_str_eq(
        e.msg, "URI \"ssh://a/b\": this kind is not possible here; allowed: unix:PATH, "
               "tcp:HOST:PORT, vsock:CID:PORT");
}
END_TEST

static const struct {
    const char *s;
    bool is_local;
} places[] = {
    {"unix:/x", true},
    {"vsock:3:1", true},
    {"tcp:127.0.0.1:1", true},
    {"tcp:127.255.3.4:1", true},
    {"tcp:localhost:1", true},
    {"tcp:[::1]:1", true},
    {"tcp:10.0.0.1:1", false},
    {"tcp:0.0.0.0:1", false},
    {"tcp:128.0.0.1:1", false},
    {"tcp:[::ffff:127.0.0.1]:1", false},
    {"tcp:localhost.x:1", false},
    {"tcp:[::]:1", false},
};

START_TEST(what_may_leave_the_host_is_told_by_number)
{
    struct uri u = parse(URI_FOR_CHANNEL, places[_i].s);

    ck_assert_int_eq(uri_is_local(&u), places[_i].is_local);
}
END_TEST

START_TEST(a_uri_of_any_length_is_handled)
{
    static char s[100000];
    struct err e;
    struct uri u;

    memset(s, 'x', sizeof s - 1);
    memcpy(s, "unix:/", 6);
    for (size_t len = 500; len < sizeof s; len = len * 3 / 2) {
        s[len] = '\0';
        ck_assert_int_eq(uri_parse(s, URI_FOR_CONTROL, &e, &u), -EINVAL);
        s[len] = 'x';
    }
    memcpy(s, "ssh://host", 10);
    s[500] = '\0';
    s[10] = '/';
    ck_assert_int_eq(uri_parse(s, URI_FOR_CONTROL, &e, &u), -EINVAL);
}
END_TEST

START_TEST(the_parts_of_a_uri_are_taken_apart)
{
    ck_assert_str_eq(parse(URI_FOR_LISTEN, "unix:/a/b").path, "/a/b");
    ck_assert_str_eq(parse(URI_FOR_LISTEN, "tcp:[::1]:12").host, "::1");
    ck_assert_uint_eq(parse(URI_FOR_LISTEN, "tcp:[::1]:12").port, 12);
    ck_assert_uint_eq(parse(URI_FOR_LISTEN, "vsock:12").cid, URI_ANY_CID);
    ck_assert_uint_eq(parse(URI_FOR_CHANNEL, "vsock:3:12").cid, 3);
    ck_assert_uint_eq(parse(URI_FOR_CHANNEL, "vsock:3:12").port, 12);
    ck_assert_str_eq(parse(URI_FOR_CONTROL, "ssh://u@h/a/b").host, "u@h");
    ck_assert_str_eq(parse(URI_FOR_CONTROL, "ssh://u@h/a/b").path, "/a/b");
}
END_TEST

static int
listen_on(const struct uri *u)
{
    struct err e = {.msg = ""};
    int fd = -1;

    ck_assert_msg(uri_listen(u, 0600, &e, &fd) == 0, "%s", e.msg);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    return fd;
}

static int
connect_to(const struct uri *u)
{
    struct err e = {.msg = ""};
    int fd = -1, pid = -1;

    ck_assert_msg(uri_connect(u, clock_deadline_ns(NS_PER_S), &e, &fd, &pid) == 0, "%s",
                  e.msg);
    ck_assert_int_eq(pid, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    return fd;
}

static void
check_carries_bytes(const struct uri *u)
{
    AUTO_FD int listener = listen_on(u);
    AUTO_FD int client = connect_to(u);
    AUTO_FD int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    char c = 0;

    ck_assert_int_ge(server, 0);
    ck_assert_int_eq(write(client, "x", 1), 1);
    ck_assert_int_eq(read(server, &c, 1), 1);
    ck_assert_int_eq(c, 'x');
}

START_TEST(a_unix_socket_carries_bytes)
{
    struct uri u = socket_uri();

    check_carries_bytes(&u);
}
END_TEST

/* An address of this process alone, so that no other program has the port. */
START_TEST(a_tcp_socket_carries_bytes)
{
    struct uri u;

    (void)snprintf(text, sizeof text, "tcp:127.%d.%d.9:10809", 1 + getpid() / 250 % 250,
                   1 + getpid() % 250);
    u = parse(URI_FOR_LISTEN, text);
    check_carries_bytes(&u);
}
END_TEST

START_TEST(the_socket_file_has_exactly_the_mode_asked_for)
{
    static const mode_t umasks[] = {0000, 0022, 0177};
    struct uri u = socket_uri();
    struct stat st;

    for (size_t i = 0; i < 3; i++) {
        mode_t old = umask(umasks[i]);
        AUTO_FD int fd = -1;

        ck_assert_int_eq(uri_listen(&u, i == 0 ? 0600 : 0660, NULL, &fd), 0);
        (void)umask(old);
        ck_assert_int_eq(lstat(u.path, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, i == 0 ? 0600 : 0660);
    }
}
END_TEST

START_TEST(a_stale_socket_is_replaced)
{
    struct uri u = socket_uri();
    int fd = listen_on(&u);

    ck_assert_int_eq(close(fd), 0);
    fd = listen_on(&u);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_live_socket_is_not_touched)
{
    struct uri u = socket_uri();
    AUTO_FD int live = listen_on(&u);
    struct err e = {.msg = ""};
    int fd = -1, client;

    ck_assert_int_eq(uri_listen(&u, 0600, &e, &fd), -EADDRINUSE);
    ck_assert_int_ne(fd, live);
    ck_assert_int_eq(fd, -1);
    ck_assert_ptr_nonnull(strstr(e.msg, u.text));
    client = connect_to(&u);
    ck_assert_int_eq(close(client), 0);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_not_removed)
{
    struct uri u = socket_uri();
    int fd = open(u.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(uri_listen(&u, 0600, NULL, &fd), -EEXIST);
    ck_assert_int_eq(access(u.path, F_OK), 0);
}
END_TEST

START_TEST(listening_in_a_missing_folder_names_uri_and_reason)
{
    struct uri u = parse(URI_FOR_LISTEN, "unix:/nonexistent/s");
    struct err e = {.msg = ""};
    int fd;

    ck_assert_int_eq(uri_listen(&u, 0600, &e, &fd), -ENOENT);
    ck_assert_str_eq(e.msg,
                     "cannot listen on unix:/nonexistent/s: No such file or directory");
}
END_TEST

START_TEST(connecting_to_nobody_says_so)
{
    struct uri u = socket_uri();
    struct err e = {.msg = ""};
    int fd = -1, pid = -1;

    ck_assert_int_eq(uri_connect(&u, CLOCK_NEVER, &e, &fd, &pid), -ENOENT);
    ck_assert_ptr_nonnull(strstr(e.msg, u.text));
    fd = listen_on(&u);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(uri_connect(&u, CLOCK_NEVER, &e, &fd, &pid), -ECONNREFUSED);
    u = parse(URI_FOR_CHANNEL, "tcp:127.1.2.3:1");
    ck_assert_int_eq(uri_connect(&u, CLOCK_NEVER, &e, &fd, &pid), -ECONNREFUSED);
}
END_TEST

/* A listener that never accepts and whose queue is full keeps a client waiting. */
START_TEST(connecting_ends_at_the_deadline)
{
    struct uri u = socket_uri();
    AUTO_FD int listener = listen_on(&u);
    AUTO_FD int first = -1;
    uint64_t begin_ns;
    int fd, pid;

    ck_assert_int_eq(listen(listener, 0), 0);
    first = connect_to(&u);
    ck_assert_int_ge(first, 0);
    begin_ns = clock_now_ns();
    ck_assert_int_eq(
        uri_connect(&u, clock_deadline_ns(30 * NS_PER_MS), NULL, &fd, &pid),
        -ETIMEDOUT);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, 29 * NS_PER_MS);
    ck_assert_int_eq(uri_connect(&u, 0, NULL, &fd, &pid), -ETIMEDOUT);
    ck_assert_int_eq(uri_listen(&u, 0600, NULL, &fd), -EADDRINUSE); /* full is alive */
}
END_TEST

/* Puts a program "ssh" first in PATH that notes its arguments and echoes its input. */
static void
install_fake_ssh(void)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/ssh", folder);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_gt(fprintf(f, "#!/bin/sh\necho \"$@\" >%s/argv\nexec cat\n", folder),
                     0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path, 0700), 0);
    (void)snprintf(text, sizeof text, "%s:/usr/bin:/bin", folder);
    ck_assert_int_eq(setenv("PATH", text, 1), 0);
}

START_TEST(ssh_runs_the_proxy_on_the_other_side_of_a_socket)
{
    struct uri u = parse(URI_FOR_CONTROL, "ssh://me@host/run/x.ctl");
    int fd = -1, pid = -1, status;
    char c = 0, path[128], line[200] = "";
    FILE *f;

    install_fake_ssh();
    ck_assert_int_eq(uri_connect(&u, CLOCK_NEVER, NULL, &fd, &pid), 0);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    ck_assert_int_eq(read(fd, &c, 1), 1);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    (void)snprintf(path, sizeof path, "%s/argv", folder);
    f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_str_eq(line, "-T -o BatchMode=yes -- me@host baton proxy /run/x.ctl\n");
}
END_TEST

START_TEST(a_missing_ssh_is_an_error_with_the_uri)
{
    struct uri u = parse(URI_FOR_CONTROL, "ssh://host/x");
    struct err e = {.msg = ""};
    int fd, pid;

    ck_assert_int_eq(setenv("PATH", folder, 1), 0);
    ck_assert_int_eq(uri_connect(&u, CLOCK_NEVER, &e, &fd, &pid), -ENOENT);
    ck_assert_ptr_nonnull(strstr(e.msg, "ssh://host/x"));
}
END_TEST

SUITE("uri") = {
    CASE("parse"),
    EACH(an_allowed_form_is_accepted_and_kept_as_given, good),
    EACH(a_bad_uri_is_refused_with_its_reason, bad),
    TEST(a_refusal_names_the_uri_and_the_allowed_forms),
    EACH(what_may_leave_the_host_is_told_by_number, places),
    TEST(a_uri_of_any_length_is_handled),
    TEST(the_parts_of_a_uri_are_taken_apart),
    CASE("sockets", .setup = make_folder, .teardown = remove_folder),
    TEST(a_unix_socket_carries_bytes),
    TEST(a_tcp_socket_carries_bytes),
    TEST(the_socket_file_has_exactly_the_mode_asked_for),
    TEST(a_stale_socket_is_replaced),
    TEST(a_live_socket_is_not_touched),
    TEST(a_file_that_is_no_socket_is_not_removed),
    TEST(listening_in_a_missing_folder_names_uri_and_reason),
    TEST(connecting_to_nobody_says_so),
    TEST(connecting_ends_at_the_deadline),
    TEST(ssh_runs_the_proxy_on_the_other_side_of_a_socket),
    TEST(a_missing_ssh_is_an_error_with_the_uri),
};
