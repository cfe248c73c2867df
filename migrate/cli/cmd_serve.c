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

/* Of every option that takes a value each time, opaque is the struct serving. */
static bool
take_setting(const struct cli_option *o, const char *value)
{
    struct serving *s = o->opaque;
    char where[32];
    struct err e = {{0}};
    int rc;

    (void)snprintf(where, sizeof where, "--%s", o->name);
    rc = config_set(&s->config, o->name, value, where, &e);
    if (rc == 0) {
        rc = serve_args_add(&s->settings, o->name, value, &e);
    }
    if (rc < 0) {
        (void)cli_fail(0, "serve", "%s", err_text(&e, rc));
    }
    return rc == 0;
}

static bool
take_filter(const struct cli_option *o, const char *name)
{
    struct serving *s = o->opaque;

    for (const char *p = name; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && strchr("-_./", *p) == NULL) {
            (void)cli_fail(
                0, "serve",
                "--filter %.100s: allowed: the name or path of an nbdkit filter", name);
            return false;
        }
    }
    if (name[0] == '\0' || s->nr_filters == MAX_FILTERS) {
        (void)cli_fail(0, "serve", "--filter: allowed: a name, at most %d",
                       MAX_FILTERS);
        return false;
    }
    s->filters[s->nr_filters++] = name;
    return true;
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

static bool
take_filter_param(const struct cli_option *o, const char *param)
{
    struct serving *s = o->opaque;
    const char *equals = strchr(param, '=');
    size_t len = equals != NULL ? (size_t)(equals - param) : 0;
    bool is_ours = is_key(param, len, "control-fd") || is_key(param, len, "pidfile");
    struct err e = {{0}};

    if (!is_filter_key(param, len)) {
        (void)cli_fail(0, "serve",
                       "--filter-param %.100s: allowed: KEY=VALUE, the key of letters, "
                       "digits, \".\", \"_\" and \"-\", the first one a letter",
                       param);
        return false;
    }
    for (const struct config_row *r = config_settings; r->word != NULL; r++) {
        is_ours = is_ours || is_key(param, len, r->word);
    }
    if (is_ours) {
        (void)cli_fail(0, "serve",
                       "--filter-param %.100s: this key is the service's; allowed: "
                       "keys of filters",
                       param);
        return false;
    }
    if (serve_args_add(&s->filter_params, NULL, param, &e) < 0) {
        (void)cli_fail(0, "serve", "--filter-param: %s", e.msg);
        return false;
    }
    return true;
}

/* The settings of the service, then what is no setting of the service, but of the
 * process that it becomes. Returns the index of the first of these. */
static size_t
list_options(struct serving *s, struct cli_option options[CLI_MAX_OPTIONS])
{
    const struct cli_option of_process[] = {
        {"pidfile", "FILE", "holds its process id, from when it is ready until it ends",
         .text = &s->pidfile},
        {"threads", "N", "nbdkit's threads for each connection", .text = &s->threads},
        {"filter", "NAME", "an nbdkit filter", true, .take = take_filter, .opaque = s},
        {"filter-param", "K=V", "a parameter of a filter", true,
         .take = take_filter_param, .opaque = s},
        {"nbdkit", "PATH", "nbdkit's program (default: nbdkit in PATH)",
         .text = &s->nbdkit},
        {"plugin", "PATH", "Baton's plugin for nbdkit", .text = &s->plugin},
        {"verbose", NULL, "print nbdkit's debug messages", .flag = &s->is_verbose},
        {0},
    };
    size_t n = 0;

    for (const struct config_row *r = config_settings; r->word != NULL; r++) {
        assert(n + sizeof of_process / sizeof of_process[0] < CLI_MAX_OPTIONS);
        options[n++] = (struct cli_option){
            r->word,    r->argument,          r->is_in_synopsis ? "" : r->help,
            r->repeats, .take = take_setting, .opaque = s};
    }
    memcpy(&options[n], of_process, sizeof of_process);
    return n;
}

/* For bash completion and tests (no --help shows --list-options): a line "--WORD
 * ARGUMENT" for each option; settings of the service come first, and are followed by an
 * empty line. */
static int
print_options(const struct cli_option *options, size_t nr_settings)
{
    for (size_t i = 0; options[i].name != NULL; i++) {
        (void)printf("%s--%s %s\n", i == nr_settings ? "\n" : "", options[i].name,
                     options[i].argument != NULL ? options[i].argument : "");
    }
    return CLI_DONE;
}

/* Returns the status to end with, or -1 to go on. */
static int
parse_options(int argc, char **argv, struct serving *s)
{
    static const struct cli_usage usage = {"serve", SYNOPSIS, NULL, 18};
    struct cli_option options[CLI_MAX_OPTIONS];
    size_t nr_settings = list_options(s, options);
    int status;

    if (argc == 2 && strcmp(argv[1], "--list-options") == 0) {
        return print_options(options, nr_settings);
    }
    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
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
    struct serving *s = calloc(1, sizeof *s);
    struct serve_args *args = calloc(1, sizeof *args);
    int status;

    if (s == NULL || args == NULL) {
        free(s);
        free(args);
        return cli_fail(CLI_REFUSED, "serve", "out of memory");
    }
    service_config_init(&s->config);
    status = parse_options(argc, argv, s);
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
