/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands against a service that answers what a test says. Output goes to files
 * while a command runs in this process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "cli.h"
#include "rpc.h"
#include "suite.h"
#include "uri.h"

#define HANDOFF(disk)                                                                  \
    "{\"disk\": \"" disk "\", \"from\": \"a\", \"to\": \"b\", \"epoch\": 7, "          \
    "\"stall_us\": 1300, \"phases\": {\"prepare_us\": 5100, \"hold_us\": 20, "         \
    "\"drain_us\": 200, \"flush_us\": 400, \"eject_us\": 300, \"assign_us\": 300, "    \
    "\"replay_us\": 100}, \"queued\": 32, \"ledger\": {\"failed\": 0}}"
#define SENTENCE(disk)                                                                 \
    disk ": handed from a to b at epoch 7 in 1.3 ms (prepare 5.1, hold 0.0, drain "    \
         "0.2, flush 0.4, eject 0.3, assign 0.3, replay 0.1 ms); 32 requests waited, " \
         "none lost\n"

static char folder[64], at[128], out[16384], err_out[16384];
static struct rpc_server *server;
static const char *answer; /* JSON of the result; NULL: answer_rc with a sentence */
static int answer_rc;
static json_t *asked; /* the last request's params; read after its answer */

static int
answer_as_told(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
               json_t **ret_result)
{
    (void)ctx;
    json_decref(asked);
    asked = json_deep_copy(params);
    rpc_notify(call, "progress", json_pack("{s:s}", "phase", "hold"));
    if (answer == NULL) {
        return err_set(e, answer_rc, "disk vda\033: no");
    }
    *ret_result = json_loads(answer, 0, NULL);
    return 0;
}

static const struct rpc_method methods[] = {
    {"status", answer_as_told}, {"handoff", answer_as_told}, {"park", answer_as_told},
    {"unpark", answer_as_told}, {"abort", answer_as_told},   {NULL, NULL}};

static void
setup(void)
{
    struct err e;
    struct uri u;
    int fd;

    (void)snprintf(folder, sizeof folder, "/tmp/test-cli-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(at, sizeof at, "unix:%s/c", folder);
    ck_assert_int_eq(uri_parse(at, URI_FOR_CONTROL_LISTEN, &e, &u), 0);
    ck_assert_int_eq(uri_listen(&u, 0600, &e, &fd), 0);
    ck_assert_int_eq(rpc_server_new(fd, methods, NULL, &e, &server), 0);
    answer = NULL;
    answer_rc = -EBUSY;
}

static void
teardown(void)
{
    static const char *const names[] = {"c", "1", "2"};
    char path[128];

    rpc_server_free(server);
    json_decref(asked);
    asked = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path); /* there, or the test failed before */
    }
    (void)rmdir(folder);
}

/* Send fd to a file in the folder; returns a copy of what it was. */
static int
redirect(FILE *f, int fd)
{
    char path[128];
    FILE *to;
    int old = dup(fd);

    (void)snprintf(path, sizeof path, "%s/%d", folder, fd);
    (void)fflush(f);
    to = fopen(path, "we");
    ck_assert(old >= 0 && to != NULL);
    ck_assert_int_eq(dup2(fileno(to), fd), fd);
    (void)fclose(to);
    return old;
}

static void
restore(FILE *f, int fd, int old, char *text, size_t size)
{
    char path[128];
    FILE *from;

    (void)fflush(f);
    ck_assert_int_eq(dup2(old, fd), fd);
    (void)close(old);
    (void)snprintf(path, sizeof path, "%s/%d", folder, fd);
    from = fopen(path, "re");
    ck_assert_ptr_nonnull(from);
    text[fread(text, 1, size - 1, from)] = '\0';
    (void)fclose(from);
}

/* argv is NULL-terminated; fills out and err_out. */
static int
run(int (*cmd)(int, char **), char **argv)
{
    int argc = 0, status;
    int old_out = redirect(stdout, STDOUT_FILENO);
    int old_err = redirect(stderr, STDERR_FILENO);

    while (argv[argc] != NULL) {
        argc++;
    }
    optind = 0; /* getopt starts anew */
    status = cmd(argc, argv);
    restore(stdout, STDOUT_FILENO, old_out, out, sizeof out);
    restore(stderr, STDERR_FILENO, old_err, err_out, sizeof err_out);
    return status;
}

#define RUN(cmd, ...) run(cmd, (char *[]){__VA_ARGS__, NULL})
#define S(text)                                                                        \
    (char[])                                                                           \
    {                                                                                  \
        text                                                                           \
    }

START_TEST(a_handoff_sends_its_options_and_says_what_was_done)
{
    answer = HANDOFF("vda");
    ck_assert_int_eq(RUN(cmd_handoff, S("handoff"), S("vda"), S("--from"), at,
                         S("--to"), S("unix:/b"), S("--deadline"), S("2s"),
                         S("--budget"), S("50ms")),
                     0);
    ck_assert_str_eq(out, SENTENCE("vda"));
    ck_assert_str_eq(err_out, ""); /* no terminal, no progress */
    ck_assert_str_eq(json_string_value(json_object_get(asked, "target")), "vda");
    ck_assert_str_eq(json_string_value(json_object_get(asked, "to")), "unix:/b");
    ck_assert_int_eq(json_integer_value(json_object_get(asked, "deadline_ms")), 2000);
    ck_assert_int_eq(json_integer_value(json_object_get(asked, "budget_us")), 50000);
}
END_TEST

START_TEST(a_group_has_a_sentence_for_each_disk)
{
    answer = "{\"disks\": [" HANDOFF("vda") ", " HANDOFF("vdb") "]}";
    ck_assert_int_eq(RUN(cmd_handoff, S("handoff"), S("vm:web"), S("--from"), at,
                         S("--to"), S("unix:/b")),
                     0);
    ck_assert_str_eq(out, SENTENCE("vda") SENTENCE("vdb"));
    ck_assert_int_eq(json_integer_value(json_object_get(asked, "deadline_ms")), 5000);
    ck_assert_ptr_null(json_object_get(asked, "budget_us"));
}
END_TEST

START_TEST(quiet_says_nothing_and_json_the_result)
{
    answer = "{\"disk\": \"vda\"}";
    ck_assert_int_eq(RUN(cmd_park, S("park"), S("vda"), S("--at"), at, S("--quiet")),
                     0);
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(RUN(cmd_park, S("park"), S("vda"), S("--at"), at, S("--json")), 0);
    ck_assert_str_eq(out, "{\"disk\":\"vda\"}\n");
}
END_TEST

START_TEST(a_refusal_is_status_1_and_its_sentence)
{
    ck_assert_int_eq(RUN(cmd_unpark, S("unpark"), S("vda"), S("--at"), at), 1);
    ck_assert_str_eq(out, "");
    ck_assert_str_eq(err_out, "baton: unpark: disk vda?: no\n");
}
END_TEST

START_TEST(committed_but_not_finished_is_status_3)
{
    answer_rc = -EINPROGRESS;
    ck_assert_int_eq(RUN(cmd_handoff, S("handoff"), S("vda"), S("--from"), at,
                         S("--to"), S("unix:/b"), S("--json")),
                     3);
    ck_assert_ptr_nonnull(strstr(out, "{\"error\":{\"code\":3,\"message\":\"disk vda"));
    ck_assert_ptr_nonnull(strstr(out, "\"errno\":\"EINPROGRESS\"}}\n"));
}
END_TEST

START_TEST(bad_parameters_are_status_1)
{
    answer_rc = -EBADMSG; /* code -32602 */
    ck_assert_int_eq(RUN(cmd_abort, S("abort"), S("vda"), S("--at"), at), 1);
}
END_TEST

START_TEST(the_table_is_aligned_and_clean)
{
    answer =
        "{\"disks\": [{\"name\": \"vda\", \"vm\": \"web\", \"size\": 1610612736, "
        "\"role\": \"owner\", \"epoch\": 7, \"state\": \"open\", \"owner\": \"a\", "
        "\"queued\": 5, \"ledger\": {\"accepted\": 12, \"failed\": 1}}, "
        "{\"name\": \"long\\u001b\", \"vm\": \"\", \"size\": 512}]}";
    ck_assert_int_eq(RUN(cmd_status, S("status"), S("--at"), at), 0);
    ck_assert_str_eq(out, "DISK   VM   SIZE  ROLE   EPOCH  STATE  OWNER  QUEUED  "
                          "ACCEPTED  FAILED\n"
                          "vda    web  1.5G  owner  7      open   a      5       "
                          "12        1\n"
                          "long?  -    512   -      -      -      -      -       "
                          "-         -\n");
    ck_assert_ptr_null(json_object_get(asked, "disk"));
}
END_TEST

START_TEST(what_goes_on_stands_below_the_table)
{
    answer = "{\"disks\": [{\"name\": \"vda\", \"handoff\": \"prepare\", "
             "\"handoff_us\": 1500000}, {\"name\": \"vdb\", \"search\": \"b does not "
             "answer\"}, "
             "{\"name\": \"vdc\"}]}";
    ck_assert_int_eq(RUN(cmd_status, S("status"), S("--at"), at), 0);
    ck_assert_ptr_nonnull(strstr(out, "vda: a handoff goes on: prepare for 1.5 s\n"
                                      "vdb: its owner is not found: b does not "
                                      "answer\n"));
    ck_assert_ptr_null(strstr(out, "vdc: "));
}
END_TEST

START_TEST(status_asks_for_one_disk_and_prints_json)
{
    answer = "{\"service\": \"a\", \"disks\": []}";
    ck_assert_int_eq(RUN(cmd_status, S("status"), S("vda"), S("--at"), at, S("--json")),
                     0);
    ck_assert_str_eq(out, "{\"service\":\"a\",\"disks\":[]}\n");
    ck_assert_str_eq(json_string_value(json_object_get(asked, "disk")), "vda");
}
END_TEST

SUITE("cli") = {
    CASE("cli", .setup = setup, .teardown = teardown),
    TEST(a_handoff_sends_its_options_and_says_what_was_done),
    TEST(a_group_has_a_sentence_for_each_disk),
    TEST(quiet_says_nothing_and_json_the_result),
    TEST(a_refusal_is_status_1_and_its_sentence),
    TEST(committed_but_not_finished_is_status_3),
    TEST(bad_parameters_are_status_1),
    TEST(the_table_is_aligned_and_clean),
    TEST(what_goes_on_stands_below_the_table),
    TEST(status_asks_for_one_disk_and_prints_json),
};
