/* SPDX-License-Identifier: BSD-3-Clause */
/* stampcheck - the command line of the stamped-block checker; README.md says what a
 * pass proves. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "history.h"
#include "journal.h"
#include "option.h"
#include "stamp.h"
#include "traffic.h"

#define MAX_URIS 16
#define SLOW_NS (100 * NS_PER_MS)

static const char usage[] =
    "usage: stampcheck --uri URI [--uri URI]... (--seconds N | --ops N) [option]...\n"
    "       stampcheck --verify-file DEVICE --journal FILE\n"
    "Writes, reads, flushes, trims and zeroes stamped blocks and checks every reply.\n"
    "  --uri URI            a way to the disk; connections are spread over all\n"
    "  --seconds N          run so long;  --ops N  run so many requests\n"
    "  --stop-file FILE     end when FILE exists\n"
    "  --ready-file FILE    is made when the area is filled\n"
    "  --connections C      (4)   --depth D  requests in flight on each (8)\n"
    "  --block-sizes A..B   bytes of a request (512..65536)\n"
    "  --area BYTES         of the disk that is used (8m)   --offset BYTES  (0)\n"
    "  --seed S             of the choice of requests (1)\n"
    "  --no-trim, --no-zero leave these out\n"
    "  --reconnect[=S]      on a broken connection, try for S seconds (60) to connect\n"
    "                       and send again what has no reply\n"
    "  --retry-errors       an EIO reply is no fault: the request is sent again\n"
    "  --timeout S          the longest wait for a reply (60)\n"
    "  --power-cut          a broken connection is the end, not a fault; the journal\n"
    "                       permits the loss of what no flush or FUA has covered\n"
    "  --journal FILE       write what every sector may hold at the end\n"
    "  --verify-file DEVICE compare a device with the journal; no traffic\n"
    "  --at-fault PROGRAM   run it at a fault, at once, with the fault as its "
    "argument\n"
    "  --trail FILE         at a fault, the latest requests with their times\n"
    "  --max-latency[=MS]   print the latency histogram; longer than MS is a fault\n"
    "  --slow-file FILE     a line for each request that took 100 ms or longer: when "
    "it\n"
    "                       began and ended (us since 1970), what, on which "
    "connection\n"
    "  --json               the report as one JSON object\n"
    "Status: 0 clean, 1 a fault, which is described, 2 wrong usage.\n";

struct options {
    struct traffic_params traffic;
    const char *uris[MAX_URIS];
    uint64_t area;
    const char *journal, *verify_file, *ready_file, *trail, *at_fault;
    uint64_t max_latency_ns;
    bool is_histogram, is_json, is_power_cut;
};

static const struct option_tool tool = {"stampcheck", usage};

static void
add_uri(void *ctx, char *uri)
{
    struct options *o = ctx;

    if (o->traffic.nr_uris == MAX_URIS) {
        option_wrong_usage(&tool, "too many URIs");
    }
    o->uris[o->traffic.nr_uris++] = uri;
}

static void
set_block_sizes(void *ctx, char *arg)
{
    struct options *o = ctx;
    uint64_t from, to;

    option_range("block-sizes", arg, STAMP_SECTOR, 1 << 20, &from, &to);
    o->traffic.min_block = (uint32_t)(from / STAMP_SECTOR * STAMP_SECTOR);
    o->traffic.max_block = (uint32_t)(to / STAMP_SECTOR * STAMP_SECTOR);
}

static void
set_max_latency(void *ctx, char *arg)
{
    struct options *o = ctx;

    o->is_histogram = true;
    o->max_latency_ns =
        arg == NULL ? 0 : option_number("max-latency", arg, 1, 1 << 30) * NS_PER_MS;
}

static void
open_slow_file(void *ctx, char *path)
{
    struct options *o = ctx;

    o->traffic.slow = fopen(path, "ae");
    o->traffic.slow_ns = SLOW_NS;
    if (o->traffic.slow == NULL) {
        option_wrong_usage(&tool, "--slow-file cannot be written");
    }
}

static void
parse_options(struct options *o, int argc, char **argv)
{
    struct traffic_params *t = &o->traffic;
    const struct option_row rows[] = {
        {"uri", .call = add_uri},
        {"seconds", .number = &t->run_ns, OPTION_SECONDS},
        {"ops", .number = &t->max_ops, .least = 1, .most = UINT64_MAX},
        {"stop-file", .text = &t->stop_file},
        {"ready-file", .text = &o->ready_file},
        {"connections", .count = &t->connections, .least = 1, .most = 256},
        {"depth", .count = &t->depth, .least = 1, .most = 1024},
        {"block-sizes", .call = set_block_sizes},
        {"area", .number = &o->area, .least = 1 << 16, .most = UINT64_C(1) << 34},
        {"offset", .number = &t->offset, .most = INT64_MAX / 2},
        {"seed", .number = &t->seed, .most = UINT64_MAX},
        {"no-trim", .flag = &t->no_trim},
        {"no-zero", .flag = &t->no_zero},
        {"reconnect", .number = &t->reconnect_ns, OPTION_SECONDS, .if_bare = "60"},
        {"retry-errors", .flag = &t->is_error_retried},
        {"timeout", .number = &t->timeout_ns, OPTION_SECONDS},
        {"power-cut", .flag = &o->is_power_cut},
        {"journal", .text = &o->journal},
        {"verify-file", .text = &o->verify_file},
        {"trail", .text = &o->trail},
        {"at-fault", .text = &o->at_fault},
        {"max-latency", .call = set_max_latency, .if_bare = ""},
        {"slow-file", .call = open_slow_file},
        {"json", .flag = &o->is_json},
    };

    if (option_parse(&tool, rows, sizeof rows / sizeof rows[0], o, argc, argv) < argc) {
        option_wrong_usage(&tool, "no arguments but options");
    }
    t->is_break_end = o->is_power_cut;
}

static void
print_json(const struct traffic_report *r, const struct hist_params *p, uint64_t torn)
{
    uint64_t nr = r->latency.nr, us = r->ns / NS_PER_US;

    (void)printf("{\"result\": \"%s\", \"seconds\": %.3f, \"ops_per_s\": %.0f, "
                 "\"bytes\": %" PRIu64 ", \"sectors\": %" PRIu64 ", ",
                 r->violation[0] == '\0' ? "ok" : "fault", (double)us / 1e6,
                 us == 0 ? 0.0 : (double)nr * 1e6 / (double)us, r->bytes,
                 p->nr_sectors);
    for (unsigned i = 0; i < TRAFFIC_NR_OPS; i++) {
        (void)printf("\"%s\": %" PRIu64 ", ", traffic_op_name((enum traffic_op)i),
                     r->ops[i]);
    }
    (void)printf(
        "\"reconnects\": %" PRIu64 ", \"sent_again\": %" PRIu64 ", \"errors\": %" PRIu64
        ", \"torn_reads\": %" PRIu64 ", \"broken\": %s, ",
        r->reconnects, r->sent_again, r->errors, torn, r->is_broken ? "true" : "false");
    (void)printf("\"p50_us\": %" PRIu64 ", \"p99_us\": %" PRIu64
                 ", \"max_us\": %" PRIu64 "}\n",
                 latency_quantile_ns(&r->latency, 500) / NS_PER_US,
                 latency_quantile_ns(&r->latency, 990) / NS_PER_US,
                 r->latency.max_ns / NS_PER_US);
}

static void
print_text(const struct traffic_report *r, uint64_t torn)
{
    (void)printf("%" PRIu64 " requests in %.1f s;", r->latency.nr,
                 (double)r->ns / (double)NS_PER_S);
    for (unsigned i = 0; i < TRAFFIC_NR_OPS; i++) {
        (void)printf(" %s %" PRIu64, traffic_op_name((enum traffic_op)i), r->ops[i]);
    }
    (void)printf("\n%" PRIu64 " reconnects, %" PRIu64 " sent again, %" PRIu64
                 " torn reads; p99 %" PRIu64 " us, max %" PRIu64 " us\n",
                 r->reconnects, r->sent_again, torn,
                 latency_quantile_ns(&r->latency, 990) / NS_PER_US,
                 r->latency.max_ns / NS_PER_US);
}

/* Fill, run, then, unless the power was cut, verify over a new connection. */
static int
run_phases(const struct options *o, struct hist *h, struct traffic_report *r)
{
    struct traffic_params calm = o->traffic;
    struct traffic_report *other = calloc(1, sizeof(*other));
    int rc = other == NULL ? -ENOMEM : 0;

    calm.is_break_end = false;
    rc = rc == 0 ? traffic_run(&calm, TRAFFIC_FILL, h, other) : rc;
    if (rc == 0 && o->ready_file != NULL) {
        (void)creat(o->ready_file, 0600); /* who waits for it notices */
    }
    if (rc == 0) {
        rc = traffic_run(&o->traffic, TRAFFIC_RANDOM, h, r);
    }
    if (rc == 0 && !r->is_broken && !o->is_power_cut) {
        rc = traffic_run(&calm, TRAFFIC_VERIFY, h, other);
    }
    if (rc < 0 && r->violation[0] == '\0') {
        (void)snprintf(r->violation, sizeof(r->violation), "%s",
                       other == NULL ? "out of memory" : other->violation);
    }
    free(other);
    return rc;
}

static int
report(const struct options *o, struct traffic_report *r, struct hist *h)
{
    if (o->max_latency_ns > 0 && r->latency.max_ns > o->max_latency_ns &&
        r->violation[0] == '\0') {
        (void)snprintf(r->violation, sizeof(r->violation),
                       "the slowest request took %" PRIu64 " us",
                       r->latency.max_ns / NS_PER_US);
    }
    if (o->is_json) {
        print_json(r, hist_params(h), hist_nr_torn(h));
    } else {
        print_text(r, hist_nr_torn(h));
    }
    if (o->is_histogram) {
        latency_print(&r->latency, stderr);
    }
    if (r->violation[0] != '\0') {
        (void)fprintf(stderr, "stampcheck: FAULT: %s\n", r->violation);
        return 1;
    }
    return 0;
}

/* Before anything else, while the services still are as they were. */
static void
keep_what_explains(const struct options *o, const char *fault)
{
    char *const argv[] = {(char *)o->at_fault, (char *)fault, NULL};
    pid_t pid = -1;
    int rc = 0;

    (void)signal(SIGTERM, SIG_IGN); /* whoever ends us now waits until this is done */
    if (o->at_fault != NULL) {
        rc = posix_spawn(&pid, o->at_fault, NULL, NULL, argv, environ);
    }
    if (rc != 0) {
        (void)fprintf(stderr, "stampcheck: %s: %s\n", o->at_fault, strerrordesc_np(rc));
    } else if (pid > 0) {
        (void)waitpid(pid, NULL, 0); /* what it has left says how it went */
    }
    if (o->traffic.trail != NULL) {
        rc = trail_write(o->traffic.trail, o->traffic.offset / STAMP_SECTOR, o->trail);
        if (rc < 0) {
            (void)fprintf(stderr, "stampcheck: %s: %s\n", o->trail,
                          strerrordesc_np(-rc));
        }
    }
}

static int
run_check(struct options *o)
{
    struct hist_params params = {.first_sector = o->traffic.offset / STAMP_SECTOR,
                                 .nr_sectors = o->area / STAMP_SECTOR,
                                 .is_power_cut = o->is_power_cut};
    struct traffic_report *r = calloc(1, sizeof(*r));
    struct hist *h = NULL;
    struct err e = {.msg = ""};
    int status;

    if (r == NULL || getrandom(&params.run, sizeof(params.run), 0) < 0 ||
        hist_new(&params, &h) < 0) {
        free(r);
        (void)fputs("stampcheck: no memory or no random numbers\n", stderr);
        return 1;
    }
    o->traffic.trail = o->trail != NULL ? trail_new() : NULL;
    (void)run_phases(o, h, r); /* a failure has its sentence in r */
    if (r->violation[0] != '\0') {
        keep_what_explains(o, r->violation);
    }
    status = report(o, r, h);
    if (o->journal != NULL && journal_write(o->journal, h, &e) < 0) {
        (void)fprintf(stderr, "stampcheck: %s\n", e.msg);
        status = 1;
    }
    trail_free(o->traffic.trail);
    hist_free(h);
    free(r);
    return status;
}

static int
run_verify(const struct options *o)
{
    struct err e = {.msg = ""};
    uint64_t checked = 0;
    int rc = journal_verify(o->journal, o->verify_file, &checked, &e);

    if (rc < 0) {
        (void)fprintf(stderr, "stampcheck: FAULT: %s\n", err_text(&e, rc));
        return 1;
    }
    (void)printf("{\"result\": \"ok\", \"sectors\": %" PRIu64 "}\n", checked);
    return 0;
}

int
main(int argc, char **argv)
{
    struct options o = {.traffic = {.connections = 4,
                                    .depth = 8,
                                    .min_block = STAMP_SECTOR,
                                    .max_block = 1 << 16,
                                    .seed = 1,
                                    .timeout_ns = 60 * NS_PER_S},
                        .area = 8 << 20};

    parse_options(&o, argc, argv);
    o.traffic.uris = o.uris;
    o.area = o.area / STAMP_SECTOR * STAMP_SECTOR;
    if (o.traffic.offset % STAMP_SECTOR != 0) {
        option_wrong_usage(&tool, "--offset is not a multiple of 512");
    }
    if (o.verify_file != NULL) {
        if (o.journal == NULL) {
            option_wrong_usage(&tool, "--verify-file needs --journal");
        }
        return run_verify(&o);
    }
    if (o.traffic.nr_uris == 0) {
        option_wrong_usage(&tool, "no --uri");
    }
    if (o.traffic.run_ns == 0 && o.traffic.max_ops == 0 &&
        o.traffic.stop_file == NULL) {
        option_wrong_usage(&tool, "no end: --seconds, --ops or --stop-file");
    }
    return run_check(&o);
}
