/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_status.c - baton status: a table of the disks, and below it what the columns have
 * no room for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "cli_options.h"
#include "clock.h"
#include "record.h"
#include "uri.h"

#define ANSWER_NS (10 * NS_PER_S)
#define NR_COLUMNS 10
#define CELL 96
#define NOTE 512

struct status_request {
    struct uri at;
    const char *disk; /* NULL: all */
    bool is_json;
    bool is_watch;
};

/* As "1.5G"; without a fraction where the size has none. */
static void
format_size(uint64_t bytes, char *cell)
{
    static const char units[] = " KMGTPE";
    uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
    unsigned i = 0;
    int n;

    while (tenths >= 10240 && units[i + 1] != '\0') {
        tenths /= 1024;
        i++;
    }
    n = snprintf(cell, CELL, "%ju", (uintmax_t)(tenths / 10));
    if (tenths % 10 != 0) {
        n += snprintf(cell + n, CELL - (size_t)n, ".%ju", (uintmax_t)(tenths % 10));
    }
    if (i > 0) {
        (void)snprintf(cell + n, CELL - (size_t)n, "%c", units[i]);
    }
}

/* The cells of one disk; "-" for what is missing. */
static void
fill_row(const json_t *disk, char (*cells)[CELL])
{
    static const char *const keys[NR_COLUMNS] = {"name",     "vm",    NULL,    "role",
                                                 "epoch",    "state", "owner", "queued",
                                                 "accepted", "failed"};
    const json_t *ledger = json_object_get(disk, "ledger");

    for (unsigned i = 0; i < NR_COLUMNS; i++) {
        if (keys[i] == NULL) {
            format_size(cli_number(disk, "size"), cells[i]);
        } else {
            (void)cli_text(i >= 8 ? ledger : disk, keys[i], cells[i], CELL);
        }
    }
}

static void
print_rows(unsigned nr, char (*rows)[NR_COLUMNS][CELL])
{
    int width[NR_COLUMNS] = {0};

    for (unsigned r = 0; r < nr; r++) {
        for (unsigned i = 0; i < NR_COLUMNS; i++) {
            int len = (int)strlen(rows[r][i]);

            width[i] = len > width[i] ? len : width[i];
        }
    }
    for (unsigned r = 0; r < nr; r++) {
        for (unsigned i = 0; i < NR_COLUMNS - 1; i++) {
            (void)printf("%-*s  ", width[i], rows[r][i]);
        }
        (void)printf("%s\n", rows[r][NR_COLUMNS - 1]);
    }
}

/* How many requests wait, for what, and for how long. */
static void
print_waits(const char *name, const json_t *disk)
{
    uint64_t queued = cli_number(disk, "queued"), us = cli_number(disk, "oldest_us");
    uint64_t nr = queued + cli_number(disk, "in_flight");
    char what[CELL], whose[CELL];

    (void)cli_text(disk, "waits_for", what, sizeof what);
    if (strcmp(what, "-") != 0) {
        (void)cli_text(disk, strcmp(what, "owner") == 0 ? "owner" : "device", whose,
                       sizeof whose);
        (void)printf("%s: %ju request%s wait%s for the %s %s, the oldest for %.1f s\n",
                     name, (uintmax_t)nr, nr == 1 ? "" : "s", nr == 1 ? "s" : "", what,
                     whose, (double)us / 1e6);
    } else if (queued > 0 && us >= 1000000) {
        (void)printf("%s: %ju request%s held, the oldest for %.1f s\n", name,
                     (uintmax_t)queued, queued == 1 ? " is" : "s are",
                     (double)us / 1e6);
    }
}

static void
print_handoff(const char *name, const json_t *disk)
{
    bool is_aborting = json_is_true(json_object_get(disk, "handoff_aborting"));
    char phase[CELL], detail[NOTE];

    if (strcmp(cli_text(disk, "handoff", phase, sizeof phase), "-") == 0) {
        return;
    }
    (void)cli_text(disk, "handoff_detail", detail, sizeof detail);
    (void)printf("%s: a handoff %s: %s for %.1f s%s%s\n", name,
                 is_aborting ? "is being aborted" : "goes on", phase,
                 (double)cli_number(disk, "handoff_us") / 1e6,
                 strcmp(detail, "-") != 0 ? ": " : "",
                 strcmp(detail, "-") != 0 ? detail : "");
}

/* The lines below the table. */
static void
print_notes(const json_t *disks)
{
    const json_t *disk;
    size_t i;

    json_array_foreach(disks, i, disk)
    {
        char name[CELL], text[NOTE];

        (void)cli_text(disk, "name", name, sizeof name);
        print_waits(name, disk);
        print_handoff(name, disk);
        if (strcmp(cli_text(disk, "reason", text, sizeof text), "-") != 0) {
            (void)printf("%s\n", text);
        }
        if (cli_number(disk, "device_size") > 0) {
            char size[CELL];

            format_size(cli_number(disk, "device_size"), size);
            (void)printf("%s: its device has grown to %s; the disk keeps its size\n",
                         name, size);
        }
        if (strcmp(cli_text(disk, "search", text, sizeof text), "-") != 0) {
            (void)printf("%s: its owner is not found: %s\n", name, text);
        }
    }
}

static void
print_service_note(const json_t *result)
{
    char text[NOTE];

    if (strcmp(cli_text(result, "state_dir_error", text, sizeof text), "-") != 0) {
        (void)printf("the state directory cannot be written: %s\n", text);
    }
}

static int
print_table(const json_t *result)
{
    static const char *const titles[NR_COLUMNS] = {
        "DISK",  "VM",    "SIZE",   "ROLE",     "EPOCH",
        "STATE", "OWNER", "QUEUED", "ACCEPTED", "FAILED"};
    const json_t *disks = json_object_get(result, "disks");
    unsigned nr = (unsigned)json_array_size(disks) + 1;
    char(*rows)[NR_COLUMNS][CELL] = calloc(nr, sizeof *rows);

    if (rows == NULL) {
        return cli_fail(CLI_REFUSED, "status", "out of memory");
    }
    for (unsigned i = 0; i < NR_COLUMNS; i++) {
        (void)snprintf(rows[0][i], CELL, "%s", titles[i]);
    }
    for (unsigned r = 1; r < nr; r++) {
        fill_row(json_array_get(disks, r - 1), rows[r]);
    }
    print_rows(nr, rows);
    print_notes(disks);
    print_service_note(result);
    free(rows);
    (void)fflush(stdout); /* cli_end() sees a failed write */
    return CLI_DONE;
}

/* Makes a connection each time, so that --watch goes on when the service restarts. */
static int
show(const struct status_request *rq)
{
    struct err e = {{0}};
    json_t *result = NULL;
    int status = CLI_DONE;
    int rc = cli_ask(&rq->at, "status", json_pack("{s:s*}", "disk", rq->disk),
                     ANSWER_NS, &e, NULL, &result);

    if (rq->is_watch && !rq->is_json && isatty(STDOUT_FILENO)) {
        (void)printf("\033[H\033[J"); /* clear the screen */
        (void)fflush(stdout);         /* before anything goes to standard error */
    }
    if (rc < 0) {
        if (rq->is_json) {
            cli_print_error(CLI_REFUSED, rc, err_text(&e, rc));
        }
        return cli_fail(CLI_REFUSED, "status", "%s", err_text(&e, rc));
    }
    if (rq->is_json) {
        cli_print_json(result);
    } else {
        status = print_table(result);
    }
    json_decref(result);
    return status;
}

static void
watch(const struct status_request *rq)
{
    uint64_t next_ns = clock_now_ns();

    while (!ferror(stdout)) {
        struct timespec at;

        next_ns += NS_PER_S;
        at = clock_to_timespec(next_ns);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
        }
        (void)show(rq); /* after a failure, too: the service may come back */
    }
}

int
cmd_status(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "status", "usage: baton status [--at URI] [DISK] [--json] [--watch]\n", NULL,
        9};
    struct status_request rq = {.disk = NULL};
    const char *at = NULL;
    const struct cli_option options[] = {
        {"at", "URI",
         "the service (default: BATON_CONTROL, else the only\n/run/baton/NAME.ctl)",
         .text = &at},
        {"json", NULL, "the result as JSON on one line", .flag = &rq.is_json},
        {"watch", NULL, "print it again every second", .flag = &rq.is_watch},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind > 1) {
        return cli_fail(CLI_USAGE, "status",
                        "more than one DISK; allowed: one or none");
    }
    rq.disk = argv[optind]; /* NULL after the last */
    if (rq.disk != NULL && !name_is_valid(rq.disk)) {
        return cli_fail(CLI_USAGE, "status", "\"%.100s\" is not the name of a disk",
                        rq.disk);
    }
    status = cli_find_service("status", at, &rq.at);
    if (status == CLI_DONE) {
        status = show(&rq);
    }
    if (status == CLI_DONE && rq.is_watch) {
        watch(&rq);
    }
    return status;
}
