/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_handoff.c - handoff, park, unpark and abort. Each makes one request; the service
 * does the work, and goes on with it when this process is gone. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "breakpoint.h"
#include "cli.h"
#include "cli_options.h"
#include "cli_report.h"
#include "clock.h"
#include "config.h"
#include "target.h"
#include "uri.h"
#include "words.h"

#define DEFAULT_DEADLINE_NS (5 * NS_PER_S)
#define MAX_DEADLINE_NS (3600 * NS_PER_S) /* the service allows the same */

/* Which options a verb has besides the common ones. */
#define HAS_TO (1U << 0)       /* --to, --from, --budget and --parallel */
#define HAS_DEADLINE (1U << 1) /* it can wait for requests in flight */
#define NR_OPTIONS 9           /* of handoff, which has all, and the end of the table */

static const struct verb {
    const char *name; /* of the command and of the method */
    unsigned has;
    const char *synopsis;
} handoff_verb = {"handoff", HAS_TO | HAS_DEADLINE,
                  "DISK|vm:VM|all --from URI --to URI [--deadline 5s] [--budget 50ms] "
                  "[--parallel 16]"},
  park_verb = {"park", HAS_DEADLINE, "DISK|vm:VM --at URI [--deadline 5s]"},
  unpark_verb = {"unpark", HAS_DEADLINE, "DISK|vm:VM --at URI [--deadline 5s]"},
  abort_verb = {"abort", 0, "DISK|vm:VM --at URI"};

struct order {
    const struct verb *verb;
    const char *target_text;
    struct target target;
    const char *at;
    const char *to;
    const char *deadline;
    const char *budget;
    const char *parallel_text;
    unsigned parallel; /* 0: not given */
    uint64_t deadline_ns;
    uint64_t budget_ns; /* 0: none */
    struct uri service;
    bool is_json;
    bool is_quiet;
};

/* List the options of o's verb; their values go to o. */
static void
list_options(struct order *o, struct cli_option list[NR_OPTIONS])
{
    const struct cli_option from[] = {
        {"from", "URI", "the owner's control socket (--at is the same)",
         .text = &o->at},
        {"at", "URI", "", .text = &o->at},
        {"to", "URI", "the next owner's control socket", .text = &o->to},
        {"budget", "TIME", "do not start if a longer stall is predicted",
         .text = &o->budget},
        {"parallel", "N", "with the target all: how many VMs and disks at a time",
         .text = &o->parallel_text},
    };
    const struct cli_option at[] = {
        {"at", "URI", "the service's control socket", .text = &o->at},
    };
    const struct cli_option deadline[] = {
        {"deadline", "TIME", "abort what is not committed after this time",
         .text = &o->deadline},
    };
    const struct cli_option last[] = {
        {"json", NULL, "the result as JSON on one line", .flag = &o->is_json},
        {"quiet", NULL, "print neither progress nor success", .flag = &o->is_quiet},
        {0},
    };

    if ((o->verb->has & HAS_TO) != 0) {
        list = mempcpy(list, from, sizeof from);
    } else {
        list = mempcpy(list, at, sizeof at);
    }
    if ((o->verb->has & HAS_DEADLINE) != 0) {
        list = mempcpy(list, deadline, sizeof deadline);
    }
    memcpy(list, last, sizeof last);
}

/* Returns the status to end with, or -1 to go on. */
static int
parse_options(int argc, char **argv, struct order *o)
{
    const struct verb *v = o->verb;
    struct cli_option options[NR_OPTIONS];
    char before[256];
    const struct cli_usage usage = {v->name, before, NULL, 15};
    int status;

    (void)snprintf(before, sizeof before, "usage: baton %s %s [--json] [--quiet]\n",
                   v->name, v->synopsis);
    list_options(o, options);
    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 1) {
        return cli_fail(CLI_USAGE, v->name, "%s; usage: baton %s %s",
                        optind == argc ? "the target is missing"
                                       : "more than one DISK, vm:VM or all",
                        v->name, v->synopsis);
    }
    o->target_text = argv[optind];
    return -1;
}

static bool
parse_time(const struct order *o, const char *option, const char *text, uint64_t min_ns,
           uint64_t *ret_ns)
{
    const bool may_be_0 = min_ns == NS_PER_MS; /* a deadline */
    struct err e = {{0}};

    if (text == NULL) {
        return true; /* the default stays */
    }
    if (config_parse_duration(text, &e, ret_ns) < 0) {
        (void)cli_fail(0, o->verb->name, "%s: %s", option, e.msg);
        return false;
    }
    if ((*ret_ns < min_ns && !(may_be_0 && *ret_ns == 0)) ||
        *ret_ns > MAX_DEADLINE_NS) {
        (void)cli_fail(0, o->verb->name, "%s %.100s: allowed: %s to 60m", option, text,
                       may_be_0 ? "0, 1ms" : "1us");
        return false;
    }
    return true;
}

/* Check all that can be checked without the service. */
static int
check_order(struct order *o)
{
    const char *name = o->verb->name;
    struct err e = {{0}};
    struct uri to;
    bool is_all;

    assert(o->target_text != NULL); /* by parse_options() */
    if (target_parse(o->target_text, (o->verb->has & HAS_TO) != 0, &o->target) < 0) {
        return cli_fail(CLI_USAGE, name,
                        "\"%.100s\" is neither a disk nor a VM; allowed: DISK or vm:VM",
                        o->target_text);
    }
    if (!parse_time(o, "--deadline", o->deadline, NS_PER_MS, &o->deadline_ns) ||
        !parse_time(o, "--budget", o->budget, NS_PER_US, &o->budget_ns)) {
        return CLI_USAGE;
    }
    is_all = o->target.kind == TARGET_ALL;
    if (o->parallel_text != NULL && !is_all) {
        return cli_fail(CLI_USAGE, name,
                        "--parallel is allowed with the target all only");
    }
    if (o->parallel_text != NULL &&
        !cli_take_number(name, "--parallel", o->parallel_text, 1,
                         HANDOFF_ALL_MAX_PARALLEL, &o->parallel)) {
        return CLI_USAGE;
    }
    if ((o->verb->has & HAS_TO) != 0) {
        if (o->to == NULL) {
            return cli_fail(CLI_USAGE, name,
                            "the next owner is missing; give --to URI");
        }
        if (uri_parse(o->to, URI_FOR_CONTROL, &e, &to) < 0) {
            return cli_fail(CLI_USAGE, name, "--to: %s", e.msg);
        }
    }
    return cli_find_service(name, o->at, &o->service);
}

static json_t *
order_params(const struct order *o)
{
    json_t *params = json_object();

    if (o->target.kind != TARGET_ALL) {
        (void)json_object_set_new(params, "target", json_string(o->target.text));
    }
    if (o->parallel != 0) {
        (void)json_object_set_new(params, "parallel", json_integer(o->parallel));
    }
    if ((o->verb->has & HAS_DEADLINE) != 0) {
        (void)json_object_set_new(
            params, "deadline_ms",
            json_integer((json_int_t)(o->deadline_ns / NS_PER_MS)));
    }
    if (o->to != NULL) {
        (void)json_object_set_new(params, "to", json_string(o->to));
    }
    if (o->budget_ns != 0) {
        (void)json_object_set_new(params, "budget_us",
                                  json_integer((json_int_t)(o->budget_ns / NS_PER_US)));
    }
    return params;
}

static char interrupted_text[256]; /* written before the handler is installed */

static void
say_it_goes_on(int sig)
{
    if (write(STDERR_FILENO, interrupted_text, strlen(interrupted_text)) < 0) {
        /* there is nobody to tell */
    }
    (void)signal(sig, SIG_DFL);
    (void)raise(sig); /* takes effect on return; the shell sees an interrupt */
}

/* From here on an interrupt ends this process only, and the handler says so. */
static void
announce_interrupt(const struct order *o)
{
    struct sigaction sa = {.sa_handler = say_it_goes_on};

    if (o->verb->has == 0) {
        return;
    }
    (void)snprintf(interrupted_text, sizeof interrupted_text,
                   "\nbaton: the %s goes on in the service: baton status shows it, "
                   "baton abort stops it before the commit\n",
                   o->verb->name);
    (void)sigaction(SIGINT, &sa, NULL); /* cannot fail for SIGINT */
}

static int
report_failure(const struct order *o, int rc, int code, const char *sentence)
{
    int status = code == RPC_COMMITTED ? CLI_COMMITTED : CLI_REFUSED;

    /* The service has the request, but its answer did not arrive. */
    if (code == 0 && (rc == -ECONNRESET || rc == -ETIMEDOUT) && o->verb->has != 0) {
        status = cli_fail(CLI_COMMITTED, o->verb->name,
                          "%s; the outcome is not known, see baton status", sentence);
    } else {
        (void)cli_fail(status, o->verb->name, "%s", sentence);
    }
    if (o->is_json) {
        cli_print_error(code != 0 ? code : status, rc, sentence);
    }
    return status;
}

static int
run_order(const struct order *o)
{
    struct report_progress progress = {.target = o->target.text,
                                       .is_shown =
                                           !o->is_quiet && isatty(STDERR_FILENO) != 0};
    struct rpc_client *client;
    struct err e = {{0}};
    json_t *result = NULL;
    const bool is_all = o->target.kind == TARGET_ALL;
    int code = 0;
    int rc = cli_reach(&o->service, &e, &client);

    if (rc < 0) {
        if (o->is_json) {
            cli_print_error(CLI_REFUSED, rc, e.msg);
        }
        return cli_fail(CLI_REFUSED, o->verb->name, "%s", e.msg);
    }
    announce_interrupt(o);
    rc = rpc_call(client, is_all ? "handoff-all" : o->verb->name, order_params(o),
                  report_notification, &progress, CLOCK_NEVER, &e, &code, &result);
    (void)BREAKPOINT("command-answered");
    rpc_client_close(client);
    report_progress_end(&progress);
    if (rc < 0) {
        return report_failure(o, rc, code, err_text(&e, rc));
    }
    cli_note_change();
    if (o->is_json) {
        cli_print_json(result);
    } else if (!o->is_quiet) {
        report_result(o->verb->name, o->target.text, result);
    }
    rc = is_all ? report_all(o->verb->name, result, o->is_json || o->is_quiet)
                : CLI_DONE;
    json_decref(result);
    return rc;
}

static int
run_verb(const struct verb *v, int argc, char **argv)
{
    struct order o = {.verb = v, .deadline_ns = DEFAULT_DEADLINE_NS};
    int status = parse_options(argc, argv, &o);

    if (status == -1) {
        status = check_order(&o);
        if (status == CLI_DONE) {
            status = run_order(&o);
        }
    }
    return status;
}

int
cmd_handoff(int argc, char **argv)
{
    return run_verb(&handoff_verb, argc, argv);
}

int
cmd_park(int argc, char **argv)
{
    return run_verb(&park_verb, argc, argv);
}

int
cmd_unpark(int argc, char **argv)
{
    return run_verb(&unpark_verb, argc, argv);
}

int
cmd_abort(int argc, char **argv)
{
    return run_verb(&abort_verb, argc, argv);
}
