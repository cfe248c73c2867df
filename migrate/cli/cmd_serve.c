/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_serve.c - checks everything that can be checked without touching a device, opens
 * the sockets, and becomes nbdkit with our plugin. The plugin reads the same settings
 * with the same code, so what is accepted here is accepted there. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli.h"
#include "cli_options.h"
#include "config.h"
#include "config_rows.h"
#include "serve_exec.h"

#define PLUGIN "nbdkit-baton-plugin.so"
#define GUARD "baton-nbdkit-guard.so"
#define MAX_FILTERS 32
#define MAX_THREADS 1024

#define SYNOPSIS                                                                       \
    "usage: baton serve --name NAME --listen URI... --control URI [--state-dir DIR]\n" \
    "                   [--config FILE] --disk name=D,device=PATH-OR-URI[,...]...\n"

/* What is no setting of the service, but of the process that it becomes. */
static const struct process_option {
    const char *name, *argument; /* NULL: takes none */
    const char *help;
    int val;
} process_options[] = {
    {"pidfile", "FILE", "holds its process id, from when it is ready until it ends",
     'P'},
    {"threads", "N", "nbdkit's threads for each connection", 't'},
    {"filter", "NAME", "an nbdkit filter; may be repeated", 'f'},
    {"filter-param", "K=V", "a parameter of a filter; may be repeated", 'k'},
    {"nbdkit", "PATH", "nbdkit's program (default: nbdkit in PATH)", 'n'},
    {"plugin", "PATH", "Baton's plugin for nbdkit", 'p'},
    {"verbose", NULL, "print nbdkit's debug messages", 'v'},
    {"help", NULL, NULL, 'h'},
};
#define NR_PROCESS_OPTIONS (sizeof process_options / sizeof process_options[0])

#define SETTING_VAL 0x100 /* and the index of its row: an option that is a setting */

struct serving {
    struct service_config config;
    struct serve_args settings; /* KEY=VALUE of the plugin, as given */
    unsigned nr_filters;
    const char *filters[MAX_FILTERS];
    struct serve_args filter_params;
    const char *pidfile;
    const char *threads;
    const char *nbdkit;
    const char *plugin;
    bool is_verbose;
};

static int
take_setting(struct serving *s, const char *key)
{
    char where[32];
    struct err e = {{0}};
    int rc;

    (void)snprintf(where, sizeof where, "--%s", key);
    rc = config_set(&s->config, key, optarg, where, &e);
    if (rc == 0) {
        rc = serve_args_add(&s->settings, key, optarg, &e);
    }
    return rc == 0 ? CLI_DONE : cli_fail(CLI_USAGE, "serve", "%s", err_text(&e, rc));
}

static int
take_filter(struct serving *s)
{
    for (const char *p = optarg; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && strchr("-_./", *p) == NULL) {
            return cli_fail(
                CLI_USAGE, "serve",
                "--filter %.100s: allowed: the name or path of an nbdkit filter",
                optarg);
        }
    }
    if (optarg[0] == '\0' || s->nr_filters == MAX_FILTERS) {
        return cli_fail(CLI_USAGE, "serve", "--filter: allowed: a name, at most %d",
                        MAX_FILTERS);
    }
    s->filters[s->nr_filters++] = optarg;
    return CLI_DONE;
}

/* nbdkit's rule for a key; anything else it would take for a value of ours. */
static bool
is_filter_key(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && isalpha((unsigned char)text[0]);
}

static bool
is_key(const char *text, size_t len, const char *key)
{
    return strlen(key) == len && strncmp(text, key, len) == 0;
}

static int
take_filter_param(struct serving *s)
{
    const char *equals = strchr(optarg, '=');
    size_t len = equals != NULL ? (size_t)(equals - optarg) : 0;
    bool is_ours = is_key(optarg, len, "control-fd") || is_key(optarg, len, "pidfile");
    struct err e = {{0}};

    if (!is_filter_key(optarg, len)) {
        return cli_fail(
            CLI_USAGE, "serve",
            "--filter-param %.100s: allowed: KEY=VALUE, the key of letters, "
            "digits, \".\", \"_\" and \"-\", the first one a letter",
            optarg);
    }
    for (const struct config_row *r = config_settings; r->word != NULL; r++) {
        is_ours = is_ours || is_key(optarg, len, r->word);
    }
    if (is_ours) {
        return cli_fail(
            CLI_USAGE, "serve",
            "--filter-param %.100s: this key is the service's; allowed: keys of "
            "filters",
            optarg);
    }
    if (serve_args_add(&s->filter_params, NULL, optarg, &e) < 0) {
        return cli_fail(CLI_USAGE, "serve", "--filter-param: %s", e.msg);
    }
    return CLI_DONE;
}

static int
take_option(struct serving *s, int val)
{
    bool is_ok = true;

    if (val >= SETTING_VAL) {
        return take_setting(s, config_settings[val - SETTING_VAL].word);
    }
    switch (val) {
    case 'f':
        return take_filter(s);
    case 'k':
        return take_filter_param(s);
    case 'P':
        is_ok = cli_take_once("serve", "--pidfile", &s->pidfile);
        break;
    case 't':
        is_ok = cli_take_once("serve", "--threads", &s->threads);
        break;
    case 'n':
        is_ok = cli_take_once("serve", "--nbdkit", &s->nbdkit);
        break;
    case 'p':
        is_ok = cli_take_once("serve", "--plugin", &s->plugin);
        break;
    case 'v':
        s->is_verbose = true;
        break;
    default:
        return CLI_USAGE; /* it was said why */
    }
    return is_ok ? CLI_DONE : CLI_USAGE;
}

static void
print_help(void)
{
    char words[64];

    (void)fputs(SYNOPSIS, stdout);
    config_rows_help_options(config_settings, stdout);
    for (size_t i = 0; i < NR_PROCESS_OPTIONS; i++) {
        const struct process_option *o = &process_options[i];

        (void)snprintf(words, sizeof words, "%s%s%s", o->name,
                       o->argument != NULL ? " " : "",
                       o->argument != NULL ? o->argument : "");
        if (o->help != NULL) {
            config_rows_help_option(stdout, words, o->help);
        }
    }
}

/* For bash completion and tests (no --help shows --list-options): a line "--WORD
 * ARGUMENT" for each option; settings of the service come first, and are followed by an
 * empty line. */
static int
print_options(void)
{
    for (const struct config_row *r = config_settings; r->word != NULL; r++) {
        (void)printf("--%s %s\n", r->word, r->argument);
    }
    (void)printf("\n");
    for (size_t i = 0; i < NR_PROCESS_OPTIONS; i++) {
        const struct process_option *o = &process_options[i];

        (void)printf("--%s %s\n", o->name, o->argument != NULL ? o->argument : "");
    }
    return CLI_DONE;
}

static void
to_getopt(struct option options[CLI_MAX_OPTIONS])
{
    size_t n = 0;

    for (; config_settings[n].word != NULL; n++) {
        assert(n + NR_PROCESS_OPTIONS + 1 < CLI_MAX_OPTIONS);
        options[n] = (struct option){config_settings[n].word, required_argument, NULL,
                                     SETTING_VAL + (int)n};
    }
    for (size_t i = 0; i < NR_PROCESS_OPTIONS; i++) {
        const struct process_option *o = &process_options[i];

        options[n++] = (struct option){
            o->name, o->argument != NULL ? required_argument : no_argument, NULL,
            o->val};
    }
    options[n] = (struct option){0};
}

/* Returns the status to end with, or -1 to go on. */
static int
parse_options(int argc, char **argv, struct serving *s)
{
    struct option options[CLI_MAX_OPTIONS];
    int val, status;

    to_getopt(options);
    while ((val = cli_next_option(argc, argv, options)) != -1) {
        if (val == 'h') {
            print_help();
            return CLI_DONE;
        }
        status = take_option(s, val);
        if (status != CLI_DONE) {
            return status;
        }
    }
    if (optind < argc) {
        return cli_fail(CLI_USAGE, "serve",
                        "\"%.100s\" is no option; allowed: options only (see --help)",
                        argv[optind]);
    }
    return -1;
}

static int
check_serving(struct serving *s)
{
    struct err e = {{0}};
    unsigned n;

    if (s->threads != NULL &&
        !cli_take_number("serve", "--threads", s->threads, 1, MAX_THREADS, &n)) {
        return CLI_USAGE;
    }
    if (config_complete(&s->config, &e) < 0) {
        return cli_fail(CLI_USAGE, "serve", "%s", e.msg);
    }
    if (s->config.nr_listen == 0) {
        return cli_fail(CLI_USAGE, "serve",
                        "VMs could not reach the service; give --listen URI");
    }
    if (!s->config.has_control) {
        return cli_fail(CLI_USAGE, "serve",
                        "nobody could control the service; give --control unix:PATH");
    }
    return CLI_DONE;
}

/* "on", not "require": VMs on unix sockets stay plain. The plugin refuses TCP without
 * it. */
static int
add_tls_args(const struct tls_settings *t, struct serve_args *a, struct err *e)
{
    int rc;

    if (!tls_is_on(t)) {
        return 0;
    }
    rc = serve_args_add(a, "--tls", "on", e);
    if (rc < 0) {
        return rc;
    }
    if (t->psk != NULL) {
        return serve_args_add(a, "--tls-psk", t->psk, e);
    }
    rc = serve_args_add(a, "--tls-certificates", t->certificates, e);
    return rc < 0 ? rc : serve_args_add(a, NULL, "--tls-verify-peer", e);
}

/* What nbdkit itself is told. */
static int
add_nbdkit_args(const struct serving *s, struct serve_args *a, struct err *e)
{
    int rc = serve_args_add(a, NULL, "nbdkit", e);

    if (rc == 0) {
        rc = serve_args_add(a, NULL, "--foreground", e);
    }
    if (rc == 0 && s->is_verbose) {
        rc = serve_args_add(a, NULL, "--verbose", e);
    }
    if (rc == 0 && s->threads != NULL) {
        rc = serve_args_add(a, "--threads", s->threads, e);
    }
    for (unsigned i = 0; rc == 0 && i < s->nr_filters; i++) {
        rc = serve_args_add(a, "--filter", s->filters[i], e);
    }
    return rc < 0 ? rc : add_tls_args(&s->config.tls, a, e);
}

static int
add_all(const struct serve_args *from, struct serve_args *a, struct err *e)
{
    for (unsigned i = 0; i < from->nr; i++) {
        int rc = serve_args_add(a, NULL, from->arg[i], e);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* The plugin and its parameters; those of the filters come last. */
static int
add_plugin_args(const struct serving *s, const char *plugin, struct serve_args *a,
                struct err *e)
{
    char fd[16];
    int rc = serve_args_add(a, NULL, plugin, e);

    if (rc == 0) {
        rc = add_all(&s->settings, a, e);
    }
    if (rc == 0) {
        (void)snprintf(fd, sizeof fd, "%d", serve_control_fd(&s->config));
        rc = serve_args_add(a, "control-fd", fd, e);
    }
    if (rc == 0 && s->pidfile != NULL) {
        rc = serve_args_add(a, "pidfile", s->pidfile, e);
    }
    return rc < 0 ? rc : add_all(&s->filter_params, a, e);
}

static int
start(const struct serving *s, struct serve_args *args)
{
    AUTO_FREE char *nbdkit = NULL;
    AUTO_FREE char *plugin = NULL;
    struct serve_sockets sockets;
    struct err e = {{0}};
    int rc = serve_find_program(s->nbdkit != NULL ? s->nbdkit : "nbdkit", &nbdkit);

    if (rc < 0) {
        return cli_fail(CLI_REFUSED, "serve",
                        "cannot run %s: %s; it is in the Debian package nbdkit",
                        s->nbdkit != NULL ? s->nbdkit : "nbdkit", err_text(NULL, rc));
    }
    rc = serve_find_module(s->plugin, PLUGIN, BATON_PLUGIN_DIR, &e, &plugin);
    if (rc == 0) {
        rc = serve_preload(GUARD, BATON_GUARD_DIR, s->nr_filters == 0, &e);
    }
    if (rc == 0) {
        rc = add_nbdkit_args(s, args, &e);
    }
    if (rc == 0) {
        rc = add_plugin_args(s, plugin, args, &e);
    }
    if (rc == 0) {
        rc = serve_sockets_open(&s->config, &e, &sockets);
    }
    if (rc == 0) {
        rc = serve_exec(nbdkit, args, &sockets, &e);
        serve_sockets_close(&s->config, &sockets);
    }
    return cli_fail(CLI_REFUSED, "serve", "%s", err_text(&e, rc));
}

int
cmd_serve(int argc, char **argv)
{
    const bool wants_list = argc == 2 && strcmp(argv[1], "--list-options") == 0;
    struct serving *s = calloc(1, sizeof *s);
    struct serve_args *args = calloc(1, sizeof *args);
    int status;

    if (s == NULL || args == NULL) {
        free(s);
        free(args);
        return cli_fail(CLI_REFUSED, "serve", "out of memory");
    }
    service_config_init(&s->config);
    status = wants_list ? print_options() : parse_options(argc, argv, s);
    if (status == -1) {
        status = check_serving(s);
        if (status == CLI_DONE) {
            status = start(s, args);
        }
    }
    service_config_done(&s->config);
    serve_args_done(&s->settings);
    serve_args_done(&s->filter_params);
    serve_args_done(args);
    free(args);
    free(s);
    return status;
}
