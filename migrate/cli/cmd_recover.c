/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_recover.c - baton recover. The service judges; this prints what it says. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "cli_options.h"
#include "clock.h"
#include "record.h"
#include "target.h"
#include "uri.h"
#include "words.h"

/* The service asks the others one after another, and a handoff may have to end first.
 */
#define ANSWER_NS (180 * NS_PER_S)
#define TEXT RECOVER_SENTENCE

struct recover_request {
    struct uri at;
    struct target target;
    json_t *ask; /* control URIs */
    bool is_take;
    bool is_accept;
    bool is_json;
};

static void
print_line(const char *title, const json_t *o, const char *key)
{
    char text[TEXT];

    (void)printf("  %-10s %s\n", title, cli_text(o, key, text, sizeof text));
}

static void
print_here(const json_t *here)
{
    char role[32], peer[NAME_MAX_LEN + 1], uri[RECORD_URI_LEN], when[64] = "";
    time_t since = (time_t)cli_number(here, "since");
    struct tm tm;

    if (since > 0 && localtime_r(&since, &tm) != NULL) {
        (void)strftime(when, sizeof when, ", written %Y-%m-%d %H:%M:%S", &tm);
    }
    (void)printf("  %-10s %s, epoch %ju%s", "record",
                 cli_text(here, "role", role, sizeof role),
                 (uintmax_t)cli_number(here, "epoch"), when);
    if (strcmp(cli_text(here, "peer", peer, sizeof peer), "-") != 0) {
        (void)printf("; the other side is %s at %s", peer,
                     cli_text(here, "peer_control", uri, sizeof uri));
    }
    (void)printf("%s\n", json_is_true(json_object_get(here, "asking"))
                             ? "; it is being asked whether it owns the disk"
                             : "");
}

static void
print_device(const json_t *device)
{
    char path[TEXT], state[32], reason[TEXT], lock[32], holder[TEXT];

    (void)printf("  %-10s %s %s", "device", cli_text(device, "path", path, sizeof path),
                 cli_text(device, "state", state, sizeof state));
    if (strcmp(cli_text(device, "reason", reason, sizeof reason), "-") != 0) {
        (void)printf(": %s", reason);
    }
    (void)printf("; lock %s", cli_text(device, "lock", lock, sizeof lock));
    if (strcmp(cli_text(device, "holder", holder, sizeof holder), "-") != 0) {
        (void)printf(": %s", holder);
    }
    (void)printf("\n");
}

static void
print_other(const json_t *o)
{
    char service[RECORD_URI_LEN], word[32], uri[RECORD_URI_LEN], text[TEXT];

    (void)cli_text(o, "service", service, sizeof service);
    (void)cli_text(o, "uri", uri, sizeof uri);
    (void)cli_text(o, "word", word, sizeof word);
    if (strcmp(word, "nobody") == 0) {
        (void)printf("  %-10s the record names no control socket to ask\n", "others");
    } else if (strcmp(word, "silent") == 0) {
        (void)printf("  %-10s %s does not answer: %s\n", "others",
                     strcmp(service, "-") != 0 ? service : uri,
                     cli_text(o, "reason", text, sizeof text));
    } else if (strcmp(word, "answers") == 0) {
        (void)printf("  %-10s %s answers: %s, epoch %ju\n", "others", service,
                     cli_text(o, "role", text, sizeof text),
                     (uintmax_t)cli_number(o, "epoch"));
    } else {
        (void)printf("  %-10s %s answers: it has %s\n", "others", service,
                     strcmp(word, "no-disk") == 0 ? "no such disk"
                                                  : "another disk of that name");
    }
}

static void
print_disk(const json_t *disk, const char *service)
{
    char name[NAME_MAX_LEN + 1], state[32];
    const json_t *o;
    size_t i;

    (void)printf("%s at %s: %s\n", cli_text(disk, "disk", name, sizeof name), service,
                 cli_text(disk, "state", state, sizeof state));
    print_here(json_object_get(disk, "here"));
    print_device(json_object_get(disk, "device"));
    json_array_foreach(json_object_get(disk, "others"), i, o)
    {
        print_other(o);
    }
    print_line("means", disk, "means");
    print_line("by itself", disk, "by_itself");
    print_line("to wait", disk, "wait");
    print_line("--take", disk, "take");
    print_line("elsewhere", disk, "elsewhere");
}

static void
print_result(const struct recover_request *rq, const json_t *result)
{
    char service[NAME_MAX_LEN + 1], name[NAME_MAX_LEN + 1];
    const json_t *disk;
    bool is_taken = json_is_true(json_object_get(result, "taken"));
    size_t i;

    (void)cli_text(result, "service", service, sizeof service);
    if (rq->is_accept) {
        (void)printf("%s: the device that is there now is accepted by %s\n",
                     rq->target.text, service);
    }
    json_array_foreach(json_object_get(result, "disks"), i, disk)
    {
        const json_t *here = json_object_get(disk, "here");
        bool was_ours = strcmp(cli_text(here, "role", name, sizeof name), "owner") == 0;

        (void)cli_text(disk, "disk", name, sizeof name);
        if (!rq->is_take) {
            print_disk(disk, service);
        } else if (is_taken && !was_ours) {
            (void)printf("%s is owned by %s now, at epoch %ju\n", name, service,
                         (uintmax_t)cli_number(disk, "next_epoch"));
        } else {
            (void)printf("%s is owned by %s already, at epoch %ju\n", name, service,
                         (uintmax_t)cli_number(here, "epoch"));
        }
    }
    (void)fflush(stdout); /* cli_end() sees a failed write */
}

static int
report_failure(const struct recover_request *rq, int rc, int code, const char *sentence)
{
    /* The service has the request, but its answer did not arrive. */
    bool is_lost = code == 0 && (rc == -ECONNRESET || rc == -ETIMEDOUT) &&
                   (rq->is_take || rq->is_accept);
    int status = is_lost ? CLI_COMMITTED : CLI_REFUSED;

    if (rq->is_json) {
        cli_print_error(code != 0 ? code : status, rc, sentence);
    }
    return cli_fail(status, "recover", "%s%s", sentence,
                    is_lost ? "; the outcome is not known, see baton status" : "");
}

static int
run(const struct recover_request *rq)
{
    struct err e = {{0}};
    json_t *result = NULL;
    json_t *params = json_pack("{s:s,s:b,s:O}", "target", rq->target.text, "take",
                               rq->is_take, "ask", rq->ask);
    int code = 0, rc;

    if (rq->is_accept) { /* only then: an older service does not know the parameter */
        (void)json_object_set_new(params, "accept_device", json_true());
    }
    rc = cli_ask(&rq->at, "recover", params, ANSWER_NS, &e, &code, &result);
    if (rc < 0) {
        return report_failure(rq, rc, code, err_text(&e, rc));
    }
    if (rq->is_take || rq->is_accept) {
        cli_note_change();
    }
    if (rq->is_json) {
        cli_print_json(result);
    } else {
        print_result(rq, result);
    }
    json_decref(result);
    return CLI_DONE;
}

/* opaque is the list of URIs. */
static bool
take_ask(const struct cli_option *o, const char *text)
{
    json_t *ask = o->opaque;
    struct err e = {{0}};
    struct uri u;

    if (uri_parse(text, URI_FOR_CONTROL, &e, &u) < 0) {
        (void)cli_fail(0, "recover", "--ask: %s", e.msg);
        return false;
    }
    if (json_array_size(ask) == RECOVER_MAX_OTHERS - 1) {
        (void)cli_fail(0, "recover", "--ask is given too often; allowed: %d times",
                       RECOVER_MAX_OTHERS - 1);
        return false;
    }
    return json_array_append_new(ask, json_string(text)) == 0;
}

/* Returns the status to end with, or -1 to go on. */
static int
parse(int argc, char **argv, struct recover_request *rq)
{
    static const struct cli_usage usage = {
        "recover",
        "usage: baton recover DISK|vm:VM [--at URI] [--ask URI]... [--take] [--json]\n"
        "       baton recover DISK [--at URI] --accept-device [--json]\n",
        NULL, 9};
    const char *at = NULL;
    const struct cli_option options[] = {
        {"at", "URI",
         "the service (default: BATON_CONTROL, else the only\n/run/baton/NAME.ctl)",
         .text = &at},
        {"ask", "URI", "one more service to ask, besides the one in the record",
         .take = take_ask, .opaque = rq->ask},
        {"take", NULL,
         "make the service at --at the owner; refused if a service that\n"
         "answers, or the device's lock, contradicts that",
         .flag = &rq->is_take},
        {"accept-device", NULL,
         "accept what the disk's path names now as its device, after it\n"
         "was moved or restored from a backup",
         .flag = &rq->is_accept},
        {"json", NULL, "the result as JSON on one line", .flag = &rq->is_json},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 1) {
        return cli_fail(CLI_USAGE, "recover",
                        "%s; usage: baton recover DISK|vm:VM [--at URI] [--take]",
                        optind == argc ? "the target is missing"
                                       : "more than one DISK or vm:VM");
    }
    if (rq->is_take && rq->is_accept) {
        return cli_fail(
            CLI_USAGE, "recover",
            "--take and --accept-device exclude each other; give one of them");
    }
    if (target_parse(argv[optind], false, &rq->target) < 0) {
        return cli_fail(CLI_USAGE, "recover",
                        "\"%.100s\" is neither a disk nor a VM; allowed: DISK or vm:VM",
                        argv[optind]);
    }
    status = cli_find_service("recover", at, &rq->at);
    return status == CLI_DONE ? -1 : status;
}

int
cmd_recover(int argc, char **argv)
{
    struct recover_request rq = {.ask = json_array()};
    int status = parse(argc, argv, &rq);

    if (status == -1) {
        status = run(&rq);
    }
    json_decref(rq.ask);
    return status;
}
