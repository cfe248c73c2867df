/* SPDX-License-Identifier: BSD-3-Clause */
/* A monitor that says what the test wants it to. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "clock.h"
#include "plug_open.h"
#include "qmp.h"
#include "suite.h"

#define GREETING "{\"QMP\": {}}\r\n"
#define EVENT(name, id)                                                                \
    "{\"event\": \"" name "\", \"data\": {\"device\": \"" id "\"}}\r\n"

static const char *const events[2] = {"DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"};
static char folder[64], path[96];
static int listener;
static pthread_t server;
static const char *const *script; /* what is said after each command; then it ends */
static bool has_server;

static void
say(int fd, const char *text)
{
    ck_assert_int_eq((int)send(fd, text, strlen(text), MSG_NOSIGNAL),
                     (int)strlen(text));
}

/* One line of the client's, and what it says to it: "@" is the id of the command. */
static bool
answer(FILE *in, int fd, const char *text)
{
    char line[1024], id[16] = "", all[2048] = "";
    const char *at = text;

    if (fgets(line, sizeof line, in) == NULL) {
        return false;
    }
    ck_assert_int_eq(sscanf(strstr(line, "\"id\":"), "\"id\":%15[0-9]", id), 1);
    while (*at != '\0') {
        (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%.*s%s",
                       (int)strcspn(at, "@"), at, strchr(at, '@') != NULL ? id : "");
        at += strcspn(at, "@");
        at += *at == '@';
    }
    say(fd, all);
    return true;
}

static void *
serve(void *unused)
{
    int fd = accept(listener, NULL, NULL);
    FILE *in = fdopen(dup(fd), "r");

    ck_assert_ptr_nonnull(in);
    say(fd, GREETING);
    (void)answer(in, fd, "{\"return\": {}, \"id\": @}\r\n");
    for (unsigned i = 0; script[i] != NULL && answer(in, fd, script[i]); i++) {
    }
    (void)fclose(in);
    (void)close(fd);
    return unused;
}

static void
make_socket(void)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    (void)snprintf(folder, sizeof folder, "/tmp/qmp.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/q", folder);
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    has_server = false;
}

static void
remove_socket(void)
{
    if (has_server) {
        (void)pthread_join(server, NULL);
    }
    (void)close(listener);
    (void)unlink(path);
    (void)rmdir(folder);
}

static uint64_t
soon(void)
{
    return clock_deadline_ns(10 * NS_PER_S);
}

static struct qmp *
connect_to(const char *const *what_it_says)
{
    struct qmp *q = NULL;

    script = what_it_says;
    ck_assert_int_eq(pthread_create(&server, NULL, serve, NULL), 0);
    has_server = true;
    ck_assert_int_eq(qmp_open(path, soon(), NULL, &q), 0);
    return q;
}

START_TEST(an_event_that_comes_before_the_answer_is_not_lost)
{
    static const char *const says[] = {
        EVENT("DEVICE_DELETED", "vda") "{\"return\": {}, \"id\": @}\r\n", NULL};
    struct qmp *q = connect_to(says);
    unsigned which = 9;

    ck_assert_int_eq(qmp_call(q, "device_del", NULL, soon(), NULL, NULL), 0);
    ck_assert_int_eq(qmp_await(q, events, "vda", soon(), NULL, &which), 0);
    ck_assert_uint_eq(which, 0);
    qmp_close(q);
}
END_TEST

START_TEST(an_event_of_another_device_is_not_taken_for_it)
{
    static const char *const says[] = {
        "{\"return\": {}, \"id\": @}\r\n" EVENT("DEVICE_DELETED", "vdb")
            EVENT("DEVICE_UNPLUG_GUEST_ERROR", "vda"),
        NULL};
    struct qmp *q = connect_to(says);
    unsigned which = 9;

    ck_assert_int_eq(qmp_call(q, "device_del", NULL, soon(), NULL, NULL), 0);
    ck_assert_int_eq(qmp_await(q, events, "vda", soon(), NULL, &which), 0);
    ck_assert_uint_eq(which, 1);
    qmp_close(q);
}
END_TEST

START_TEST(a_refusal_is_qemus_own_word)
{
    static const char *const says[] = {
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no room\"}, \"id\": "
        "@}\r\n",
        NULL};
    struct qmp *q = connect_to(says);
    struct err e = {{0}};

    ck_assert_int_eq(qmp_call(q, "device_add", NULL, soon(), &e, NULL), -EREMOTEIO);
    ck_assert_str_eq(e.msg, "device_add: no room");
    qmp_close(q);
}
END_TEST

START_TEST(a_qemu_that_ends_is_no_event)
{
    static const char *const says[] = {"{\"return\": {}, \"id\": @}\r\n", NULL};
    struct qmp *q = connect_to(says);
    unsigned which = 9;

    ck_assert_int_eq(qmp_call(q, "device_del", NULL, soon(), NULL, NULL), 0);
    ck_assert_int_eq(qmp_await(q, events, "vda", soon(), NULL, &which), -ECONNRESET);
    ck_assert_uint_eq(which, 9);
    qmp_close(q);
}
END_TEST

START_TEST(what_is_no_monitor_is_said_to_be_none)
{
    static const char *const says[] = {"hello\r\n", NULL};
    struct qmp *q = connect_to(says);

    ck_assert_int_eq(qmp_call(q, "device_del", NULL, soon(), NULL, NULL), -EPROTO);
    qmp_close(q);
}
END_TEST

START_TEST(a_vm_that_does_not_run_has_nothing_plugged_in)
{
    const struct plug_device d = {.id = "vda", .file = "/x"};
    enum plug_state state = PLUG_IN;
    struct plug *p = NULL;
    char text[128];

    (void)unlink(path);
    (void)snprintf(text, sizeof text, "qmp:%s", path);
    ck_assert_int_eq(plug_open(text, NULL, &p), 0);
    ck_assert_int_eq(plug_look(p, &d, soon(), NULL, &state), 0);
    ck_assert_int_eq((int)state, PLUG_GONE);
    ck_assert_int_lt(plug_in(p, &d, soon(), NULL), 0);
    plug_close(p);
}
END_TEST

SUITE("qmp") = {
    CASE("qmp", .setup = make_socket, .teardown = remove_socket),
    TEST(an_event_that_comes_before_the_answer_is_not_lost),
    TEST(an_event_of_another_device_is_not_taken_for_it),
    TEST(a_refusal_is_qemus_own_word),
    TEST(a_qemu_that_ends_is_no_event),
    TEST(what_is_no_monitor_is_said_to_be_none),
    TEST(a_vm_that_does_not_run_has_nothing_plugged_in),
};
