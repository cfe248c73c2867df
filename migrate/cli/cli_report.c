/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_report.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "breakpoint.h"
#include "say.h"

#define LINE 79 /* the most that is printed */

/* The terminal's width or less: a line that wraps could not be wiped. */
static int
line_len(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
                   size.ws_col <= LINE
               ? size.ws_col - 1
               : LINE;
}

void
report_notification(void *opaque, const char *method, json_t *params)
{
    struct report_progress *p = opaque;
    char phase[32], detail[64], line[LINE + 1];
    double ms = (double)cli_number(params, "elapsed_us") / 1000.0;
    bool has_detail = json_string_length(json_object_get(params, "detail")) > 0;

    (void)BREAKPOINT("command-watching");
    if (!p->is_shown || strcmp(method, "progress") != 0) {
        return;
    }
    (void)cli_text(params, "detail", detail, sizeof detail);
    /* The detail comes last, because it is cut where the line ends. */
    (void)snprintf(line, sizeof line, "%s: %s (%.1f ms)%s%s", p->target,
                   cli_text(params, "phase", phase, sizeof phase), ms,
                   has_detail ? ", " : "", has_detail ? detail : "");
    (void)fprintf(stderr, "\r\033[K%.*s", line_len(), line);
    p->has_line = true;
}

void
report_progress_end(struct report_progress *p)
{
    if (p->has_line) {
        (void)fprintf(stderr, "\r\033[K");
        p->has_line = false;
    }
}

/* The object that has key. The report of a disk in a group has only what differs from
 * the group. */
static const json_t *
holder(const json_t *disk, const json_t *group, const char *key)
{
    return json_object_get(disk, key) != NULL ? disk : group;
}

/* "prepare 5.1, hold 0.0, ..." in milliseconds. */
static void
format_phases(const json_t *phases, char *text, size_t size)
{
    static const char *const names[] = {"prepare", "hold",   "drain", "flush",
                                        "eject",   "assign", "replay"};
    size_t n = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && n < size; i++) {
        char key[16];

        (void)snprintf(key, sizeof key, "%s_us", names[i]);
        n += (size_t)snprintf(text + n, size - n, "%s%s %.1f", n == 0 ? "" : ", ",
                              names[i], (double)cli_number(phases, key) / 1000.0);
    }
}

static void
report_handoff(const json_t *disk, const json_t *group)
{
    const json_t *phases = json_object_get(holder(disk, group, "phases"), "phases");
    const json_t *ledger = json_object_get(disk, "ledger");
    uint64_t queued = cli_number(disk, "queued");
    uint64_t failed = cli_number(ledger, "failed");
    char name[64], from[64], to[64], epoch[32], text[256], lost[48] = "none lost";

    format_phases(phases, text, sizeof text);
    if (failed > 0) {
        (void)snprintf(lost, sizeof lost, "%" PRIu64 " failed", failed);
    }
    (void)printf("%s: handed from %s to %s at epoch %s in %.1f ms (%s ms); %" PRIu64
                 " request%s waited, %s\n",
                 cli_text(disk, "disk", name, sizeof name),
                 cli_text(holder(disk, group, "from"), "from", from, sizeof from),
                 cli_text(holder(disk, group, "to"), "to", to, sizeof to),
                 cli_text(holder(disk, group, "epoch"), "epoch", epoch, sizeof epoch),
                 (double)cli_number(holder(disk, group, "stall_us"), "stall_us") /
                     1000.0,
                 text, queued, queued == 1 ? "" : "s", lost);
}

static void
report_other(const char *verb, const char *target, const json_t *disk)
{
    static const char *const past[][2] = {
        {"park", "parked"}, {"unpark", "unparked"}, {"abort", "aborted"}};
    char name[128], epoch[32];
    const char *done = verb;

    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        done = strcmp(verb, past[i][0]) == 0 ? past[i][1] : done;
    }
    (void)cli_text(disk, "disk", name, sizeof name);
    (void)printf("%s: %s", strcmp(name, "-") == 0 ? target : name, done);
    if (cli_number(disk, "epoch") > 0) {
        (void)printf(" at epoch %s", cli_text(disk, "epoch", epoch, sizeof epoch));
    }
    (void)printf("\n");
}

static void
report_one(const char *verb, const char *target, const json_t *disk,
           const json_t *group)
{
    if (strcmp(verb, "handoff") == 0) {
        report_handoff(disk, group);
    } else {
        report_other(verb, target, disk);
    }
}

/* Disks of the VM that the next owner had already. */
static void
report_there(const json_t *handoff)
{
    const json_t *there = json_object_get(handoff, "there");
    char to[64];

    for (size_t i = 0; i < json_array_size(there); i++) {
        (void)printf("%s: %s owns it already\n",
                     json_string_value(json_array_get(there, i)),
                     cli_text(handoff, "to", to, sizeof to));
    }
}

static void
report_each(const char *verb, const json_t *handoffs)
{
    for (size_t i = 0; i < json_array_size(handoffs); i++) {
        const json_t *one = json_array_get(handoffs, i);
        const json_t *disks = json_object_get(one, "disks");

        for (size_t j = 0; j < json_array_size(disks); j++) {
            report_one(verb, "", json_array_get(disks, j), one);
        }
        report_there(one);
    }
}

int
report_all(const char *verb, const json_t *result, bool is_terse)
{
    const json_t *stayed = json_object_get(result, "stayed");
    const char *outcome = json_string_value(json_object_get(result, "outcome"));
    char target[128], reason[512];
    int status = CLI_REFUSED;

    if (outcome != NULL && strcmp(outcome, "done") == 0) {
        status = CLI_DONE;
    } else if (outcome != NULL && strcmp(outcome, "committed") == 0) {
        status = CLI_COMMITTED;
    }
    for (size_t i = 0; i < json_array_size(stayed); i++) {
        const json_t *one = json_array_get(stayed, i);

        (void)cli_fail(status, verb, "%s: %s",
                       cli_text(one, "target", target, sizeof target),
                       cli_text(one, "reason", reason, sizeof reason));
    }
    if (!is_terse) {
        (void)printf(
            "%" PRIu64 " disk%s handed over in %.1f s, %zu not\n",
            cli_number(result, "disks"), cli_number(result, "disks") == 1 ? "" : "s",
            (double)cli_number(result, "elapsed_us") / 1e6, json_array_size(stayed));
    }
    return status;
}

void
report_result(const char *verb, const char *target, const json_t *result)
{
    const json_t *disks = json_object_get(result, "disks");

    if (json_is_array(json_object_get(result, "handoffs"))) {
        report_each(verb, json_object_get(result, "handoffs"));
        return;
    }
    if (!json_is_array(disks)) {
        report_one(verb, target, result, result);
        return;
    }
    for (size_t i = 0; i < json_array_size(disks); i++) {
        report_one(verb, target, json_array_get(disks, i), result);
    }
    report_there(result);
}
