/* SPDX-License-Identifier: BSD-3-Clause */
/* stampcheck - the command line of the stamped-block checker; README.md says what a
 * pass proves. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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

enum option_id {
    OPT_URI = 256,
    OPT_SECONDS,
    OPT_OPS,
    OPT_STOP,
    OPT_READY,
    OPT_CONNECTIONS,
    OPT_DEPTH,
    OPT_BLOCKS,
    OPT_AREA,
    OPT_OFFSET,
    OPT_SEED,
    OPT_NO_TRIM,
    OPT_NO_ZERO,
    OPT_RECONNECT,
    OPT_TIMEOUT,
    OPT_RETRY_ERRORS,
    OPT_POWER_CUT,
    OPT_JOURNAL,
    OPT_VERIFY,
    OPT_TRAIL,
    OPT_AT_FAULT,
    OPT_LATENCY,
    OPT_SLOW,
    OPT_JSON,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"uri", required_argument, NULL, OPT_URI},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"ops", required_argument, NULL, OPT_OPS},
    {"stop-file", required_argument, NULL, OPT_STOP},
    {"ready-file", required_argument, NULL, OPT_READY},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"block-sizes", required_argument, NULL, OPT_BLOCKS},
    {"area", required_argument, NULL, OPT_AREA},
    {"offset", required_argument, NULL, OPT_OFFSET},
    {"seed", required_argument, NULL, OPT_SEED},
    {"no-trim", no_argument, NULL, OPT_NO_TRIM},
    {"no-zero", no_argument, NULL, OPT_NO_ZERO},
    {"reconnect", optional_argument, NULL, OPT_RECONNECT},
    {"retry-errors", no_argument, NULL, OPT_RETRY_ERRORS},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"power-cut", no_argument, NULL, OPT_POWER_CUT},
    {"journal", required_argument, NULL, OPT_JOURNAL},
    {"verify-file", required_argument, NULL, OPT_VERIFY},
    {"trail", required_argument, NULL, OPT_TRAIL},
    {"at-fault", required_argument, NULL, OPT_AT_FAULT},
    {"max-latency", optional_argument, NULL, OPT_LATENCY},
    {"slow-file", required_argument, NULL, OPT_SLOW},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

static int
wrong_usage(const char *why)
{
    (void)fprintf(stderr, "stampcheck: %s\n%s", why, usage);
    return 2;
}

static void
add_uri(struct options *o, const char *uri)
{
    if (o->traffic.nr_uris == MAX_URIS) {
        exit(wrong_usage("too many URIs"));
    }
    o->uris[o->traffic.nr_uris++] = uri;
}

/* Options that say what traffic there is; false when it is another one. */
static bool
set_load(struct options *o, int id, const char *arg)
{
    struct traffic_params *t = &o->traffic;
    uint64_t from, to;

    switch (id) {
    case OPT_CONNECTIONS:
        t->connections = (unsigned)option_number("connections", arg, 1, 256);
        return true;
    case OPT_DEPTH:
        t->depth = (unsigned)option_number("depth", arg, 1, 1024);
        return true;
    case OPT_BLOCKS:
        option_range("block-sizes", arg, STAMP_SECTOR, 1 << 20, &from, &to);
        t->min_block = (uint32_t)(from / STAMP_SECTOR * STAMP_SECTOR);
        t->max_block = (uint32_t)(to / STAMP_SECTOR * STAMP_SECTOR);
        return true;
    case OPT_AREA:
        o->area = option_number("area", arg, 1 << 16, UINT64_C(1) << 34);
        return true;
    case OPT_OFFSET:
        t->offset = option_number("offset", arg, 0, INT64_MAX / 2);
        return true;
    case OPT_SEED:
        t->seed = option_number("seed", arg, 0, UINT64_MAX);
        return true;
    case OPT_NO_TRIM:
        t->no_trim = true;
        return true;
    case OPT_NO_ZERO:
        t->no_zero = true;
        return true;
    default:
        return false;
    }
}

/* Options that say when it ends and what a fault is; false when it is another one. */
static bool
set_end(struct options *o, int id, const char *arg)
{
    struct traffic_params *t = &o->traffic;
    const uint64_t most = 1 << 30;

    switch (id) {
    case OPT_SECONDS:
        t->run_ns = option_number("seconds", arg, 1, most) * NS_PER_S;
        return true;
    case OPT_OPS:
        t->max_ops = option_number("ops", arg, 1, UINT64_MAX);
        return true;
    case OPT_STOP:
        t->stop_file = arg;
        return true;
    case OPT_RECONNECT:
        t->reconnect_ns =
            option_number("reconnect", arg == NULL ? "60" : arg, 1, most) * NS_PER_S;
        return true;
    case OPT_RETRY_ERRORS:
        t->is_error_retried = true;
        return true;
    case OPT_TIMEOUT:
        t->timeout_ns = option_number("timeout", arg, 1, most) * NS_PER_S;
        return true;
    case OPT_POWER_CUT:
        t->is_break_end = o->is_power_cut = true;
        return true;
    case OPT_LATENCY:
        o->is_histogram = true;
        o->max_latency_ns =
            arg == NULL ? 0 : option_number("max-latency", arg, 1, most) * NS_PER_MS;
        return true;
    default:
        return false;
    }
}

static void
parse_options(struct options *o, int argc, char **argv)
{
    int id;

    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (set_load(o, id, optarg) || set_end(o, id, optarg)) {
            continue;
        }
        switch (id) {
        case OPT_URI:
            add_uri(o, optarg);
            break;
        case OPT_JOURNAL:
            o->journal = optarg;
            break;
        case OPT_VERIFY:
            o->verify_file = optarg;
            break;
        case OPT_TRAIL:
            o->trail = optarg;
            break;
        case OPT_AT_FAULT:
            o->at_fault = optarg;
            break;
        case OPT_READY:
            o->ready_file = optarg;
            break;
        case OPT_SLOW:
            o->traffic.slow = fopen(optarg, "ae");
            o->traffic.slow_ns = SLOW_NS;
            if (o->traffic.slow == NULL) {
                exit(wrong_usage("--slow-file cannot be written"));
            }
            break;
        case OPT_JSON:
            o->is_json = true;
            break;
        case OPT_HELP:
            (void)fputs(usage, stdout);
            exit(0);
        default:
            exit(wrong_usage("unknown option"));
        }
    }
    if (optind < argc) {
        exit(wrong_usage("no arguments but options"));
    }
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
        return wrong_usage("--offset is not a multiple of 512");
    }
    if (o.verify_file != NULL) {
        return o.journal == NULL ? wrong_usage("--verify-file needs --journal")
                                 : run_verify(&o);
    }
    if (o.traffic.nr_uris == 0) {
        return wrong_usage("no --uri");
    }
    if (o.traffic.run_ns == 0 && o.traffic.max_ops == 0 &&
        o.traffic.stop_file == NULL) {
        return wrong_usage("no end: --seconds, --ops or --stop-file");
    }
    return run_check(&o);
}
