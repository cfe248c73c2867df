/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_serve.c - checks everything that can be checked without touching a device, opens
 * the sockets, and becomes nbdkit with our plugin. The plugin reads the same settings
 * with the same code, so what is accepted here is accepted there. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli.h"
#include "cli_options.h"
#include "config.h"
#include "serve_exec.h"

#define PLUGIN "nbdkit-baton-plugin.so"
#define GUARD "baton-nbdkit-guard.so"
#define MAX_FILTERS 32
#define MAX_THREADS 1024

#define HELP                                                                           \
    "usage: baton serve --name NAME --listen URI... --control URI [--state-dir DIR]\n" \
    "                   [--config FILE] --disk name=D,device=PATH-OR-URI[,...]...\n"   \
    "  --announce URI      how peers reach a listener, where that differs; repeat\n"   \
    "  --announce-control URI  the same of a tcp control socket\n"                     \
    "  --tls-certificates DIR  prove and check by certificates who is who\n"           \
    "  --tls-psk FILE      or by keys that both sides have (psktool)\n"                \
    "  --tls-psk-user NAME whose key is ours\n"                                        \
    "  --insecure-plain-tcp on  tcp beyond loopback without either\n"                  \
    "  --state-dir DIR     the records (default: /var/lib/baton/NAME)\n"               \
    "  --peer URI          a control socket to ask who owns a disk now; repeat\n"      \
    "  --handoff-on-term URI  on SIGTERM give every disk to this service first\n"      \
    "  --config FILE       the same settings in a file\n"                              \
    "  --socket-owner USER, --socket-group GROUP, --socket-mode MODE\n"                \
    "                      of unix listeners: who may connect (default mode: 0660)\n"  \
    "  --control-group GROUP  who may control it besides the owner (default: "         \
    "nobody)\n"                                                                        \
    "  --pidfile FILE      has its number, from when it is ready until it ends\n"      \
    "  --threads N         nbdkit's threads of a connection\n"                         \
    "  --filter NAME       an nbdkit filter; repeat\n"                                 \
    "  --filter-param K=V  a parameter of a filter; repeat\n"                          \
    "  --nbdkit PATH       the program (default: nbdkit in PATH)\n"                    \
    "  --plugin PATH       the plugin\n"                                               \
    "  --verbose           nbdkit's debug messages\n"

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

/* Settings of a service have their index in this table as val, from 0x100. */
static const char *const settings[] = {"name",
                                       "listen",
                                       "announce",
                                       "control",
                                       "state-dir",
                                       "config",
                                       "disk",
                                       "peer",
                                       "handoff-on-term",
                                       "announce-control",
                                       "tls-certificates",
                                       "tls-psk",
                                       "tls-psk-user",
                                       "insecure-plain-tcp",
                                       "socket-owner",
                                       "socket-group",
                                       "socket-mode",
                                       "control-group"};
#define SETTING_VAL 0x100

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
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        is_ours = is_ours || is_key(optarg, len, settings[i]);
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
        return take_setting(s, settings[val - SETTING_VAL]);
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

/* Returns the status to end with, or -1 to go on. */
static int
parse_options(int argc, char **argv, struct serving *s)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, SETTING_VAL},
        {"listen", required_argument, NULL, SETTING_VAL + 1},
        {"announce", required_argument, NULL, SETTING_VAL + 2},
        {"control", required_argument, NULL, SETTING_VAL + 3},
        {"state-dir", required_argument, NULL, SETTING_VAL + 4},
        {"config", required_argument, NULL, SETTING_VAL + 5},
        {"disk", required_argument, NULL, SETTING_VAL + 6},
        {"peer", required_argument, NULL, SETTING_VAL + 7},
        {"handoff-on-term", required_argument, NULL, SETTING_VAL + 8},
        {"announce-control", required_argument, NULL, SETTING_VAL + 9},
        {"tls-certificates", required_argument, NULL, SETTING_VAL + 10},
        {"tls-psk", required_argument, NULL, SETTING_VAL + 11},
        {"tls-psk-user", required_argument, NULL, SETTING_VAL + 12},
        {"insecure-plain-tcp", required_argument, NULL, SETTING_VAL + 13},
        {"socket-owner", required_argument, NULL, SETTING_VAL + 14},
        {"socket-group", required_argument, NULL, SETTING_VAL + 15},
        {"socket-mode", required_argument, NULL, SETTING_VAL + 16},
        {"control-group", required_argument, NULL, SETTING_VAL + 17},
        {"pidfile", required_argument, NULL, 'P'},
        {"threads", required_argument, NULL, 't'},
        {"filter", required_argument, NULL, 'f'},
        {"filter-param", required_argument, NULL, 'k'},
        {"nbdkit", required_argument, NULL, 'n'},
        {"plugin", required_argument, NULL, 'p'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int val, status;

    while ((val = cli_next_option(argc, argv, options)) != -1) {
        if (val == 'h') {
            (void)printf(HELP);
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
        return cli_fail(CLI_USAGE, "serve", "where do VMs reach it? give --listen URI");
    }
    if (!s->config.has_control) {
        return cli_fail(CLI_USAGE, "serve",
                        "how is it controlled? give --control unix:PATH");
    }
    return CLI_DONE;
}

/* "on", not "require": VMs on unix sockets stay plain. The plugin refuses TCP without
 * it. */
static int
add_tls_args(const struct tls_settings *t, struct serve_args *a, struct err *e)
{
    int rc = 0;

    if (tls_is_on(t)) {
        rc = serve_args_add(a, "--tls", "on", e);
    }
    if (rc == 0 && t->certificates != NULL) {
        rc = serve_args_add(a, "--tls-certificates", t->certificates, e);
        rc = rc == 0 ? serve_args_add(a, NULL, "--tls-verify-peer", e) : rc;
    }
    if (rc == 0 && t->psk != NULL) {
        rc = serve_args_add(a, "--tls-psk", t->psk, e);
    }
    return rc;
}

static int
build_args(const struct serving *s, const char *plugin, struct serve_args *a,
           struct err *e)
{
    char fd[16];
    int rc = serve_args_add(a, NULL, "nbdkit", e);

    rc = rc == 0 ? serve_args_add(a, NULL, "--foreground", e) : rc;
    if (rc == 0 && s->is_verbose) {
        rc = serve_args_add(a, NULL, "--verbose", e);
    }
    if (rc == 0 && s->threads != NULL) {
        rc = serve_args_add(a, "--threads", s->threads, e);
    }
    for (unsigned i = 0; rc == 0 && i < s->nr_filters; i++) {
        rc = serve_args_add(a, "--filter", s->filters[i], e);
    }
    rc = rc == 0 ? add_tls_args(&s->config.tls, a, e) : rc;
    rc = rc == 0 ? serve_args_add(a, NULL, plugin, e) : rc;
    for (unsigned i = 0; rc == 0 && i < s->settings.nr; i++) {
        rc = serve_args_add(a, NULL, s->settings.arg[i], e);
    }
    (void)snprintf(fd, sizeof fd, "%d", serve_control_fd(&s->config));
    rc = rc == 0 ? serve_args_add(a, "control-fd", fd, e) : rc;
    if (rc == 0 && s->pidfile != NULL) {
        rc = serve_args_add(a, "pidfile", s->pidfile, e);
    }
    for (unsigned i = 0; rc == 0 && i < s->filter_params.nr; i++) {
        rc = serve_args_add(a, NULL, s->filter_params.arg[i], e);
    }
    return rc;
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
    rc = rc == 0 ? serve_preload(GUARD, BATON_GUARD_DIR, s->nr_filters == 0, &e) : rc;
    rc = rc == 0 ? build_args(s, plugin, args, &e) : rc;
    rc = rc == 0 ? serve_sockets_open(&s->config, &e, &sockets) : rc;
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
