/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli_tls.h"
#include "clock.h"
#include "tls_settings.h"
#include "uri.h"

#define SOCKETS "/run/baton/*.ctl"
#define REACH_NS (10 * NS_PER_S)
#define REACH_SSH_NS (60 * NS_PER_S) /* somebody may have to type a pass phrase */

int
cli_fail(int status, const char *command, const char *fmt, ...)
{
    char sentence[2048];
    size_t len = strlen(command);
    const char *text = sentence;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    cli_clean(sentence);
    if (strncmp(text, command, len) == 0 && strncmp(text + len, ": ", 2) == 0) {
        text += len + 2; /* the method of a failed call has the command's name */
    }
    (void)fprintf(stderr, "baton: %s: %s\n", command, text);
    return status;
}

static void
list_options(const struct option *options, char *list, size_t size)
{
    size_t n = 0;

    list[0] = '\0';
    for (; options->name != NULL && n < size; options++) {
        n += (size_t)snprintf(list + n, size - n, "%s--%s", n == 0 ? "" : ", ",
                              options->name);
    }
}

int
cli_next_option(int argc, char **argv, const struct option *options)
{
    struct option all[CLI_MAX_OPTIONS];
    char list[512];
    int val;

    cli_tls_add(options, all);
    opterr = 0;
    do {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
        val = getopt_long(argc, argv, ":", all, NULL);
        if (cli_tls_is_option(val) && !cli_tls_take(argv[0], val)) {
            return '?';
        }
    } while (cli_tls_is_option(val));
    if (val == -1 && !cli_tls_complete(argv[0])) {
        return '?';
    }
    if (val == ':') {
        (void)cli_fail(0, argv[0], "%s needs a value", argv[optind - 1]);
        return '?';
    }
    if (val == '?') {
        list_options(all, list, sizeof list);
        (void)cli_fail(0, argv[0], "no such option: %s; allowed: %s", argv[optind - 1],
                       list);
    }
    return val;
}

bool
cli_take_once(const char *command, const char *option, const char **slot)
{
    if (*slot != NULL) {
        (void)cli_fail(0, command, "%s is given twice; allowed: once", option);
        return false;
    }
    if (optarg[0] == '\0') {
        (void)cli_fail(0, command, "%s is empty; allowed: a value", option);
        return false;
    }
    *slot = optarg;
    return true;
}

bool
cli_take_number(const char *command, const char *option, const char *text, unsigned min,
                unsigned max, unsigned *ret_number)
{
    unsigned long n;
    char *end;

    errno = 0;
    n = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || n < min ||
        n > max) {
        (void)cli_fail(0, command, "%s %s: allowed: %u to %u", option, text, min, max);
        return false;
    }
    *ret_number = (unsigned)n;
    return true;
}

/* The only control socket of this host. */
static int
find_socket(const char *command, char *text, size_t size)
{
    glob_t g;
    int status = CLI_DONE;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    int rc = glob(SOCKETS, 0, NULL, &g);

    if (rc != 0 && rc != GLOB_NOMATCH) {
        return cli_fail(CLI_REFUSED, command,
                        "cannot look for " SOCKETS "; give --at URI");
    }
    if (rc == GLOB_NOMATCH || g.gl_pathc == 0) {
        status = cli_fail(CLI_USAGE, command,
                          "which service? there is no " SOCKETS
                          "; give --at URI or set BATON_CONTROL");
    } else if (g.gl_pathc > 1) {
        status = cli_fail(CLI_USAGE, command,
                          "which service? there are %zu sockets " SOCKETS
                          "; give --at URI or set BATON_CONTROL",
                          g.gl_pathc);
    } else {
        (void)snprintf(text, size, "unix:%s", g.gl_pathv[0]);
    }
    if (rc == 0) {
        globfree(&g);
    }
    return status;
}

int
cli_find_service(const char *command, const char *at, struct uri *ret_uri)
{
    const char *env =
        getenv("BATON_CONTROL"); /* NOLINT(concurrency-mt-unsafe): one thread */
    char text[512];
    struct err e = {{0}};
    int status;

    if (at == NULL && env != NULL && env[0] != '\0') {
        at = env;
    }
    if (at == NULL) {
        status = find_socket(command, text, sizeof text);
        if (status != CLI_DONE) {
            return status;
        }
        at = text;
    }
    if (uri_parse(at, URI_FOR_CONTROL, &e, ret_uri) < 0) {
        return cli_fail(CLI_USAGE, command, "%s", e.msg);
    }
    if (ret_uri->kind == URI_TCP && !tls_is_on(tls_settings_get())) {
        return cli_fail(CLI_USAGE, command,
                        "%s: control over tcp needs TLS; give --tls-certificates, or "
                        "--tls-psk and --tls-psk-user",
                        at);
    }
    return CLI_DONE;
}

int
cli_reach(const struct uri *u, struct err *e, struct rpc_client **ret_client)
{
    uint64_t ns = u->kind == URI_SSH ? REACH_SSH_NS : REACH_NS;
    int rc = rpc_client_open(u, clock_deadline_ns(ns), e, ret_client);

    if (rc < 0 && (u->kind == URI_SSH || u->kind == URI_TCP)) { /* more to say */
        return err_prefix(e, rc, "cannot reach the service");
    }
    if (rc < 0) {
        return err_set(e, rc, "cannot reach the service at %s: %s; is it running?",
                       u->text, err_text(NULL, rc));
    }
    return 0;
}

void
cli_clean(char *text)
{
    for (; *text != '\0'; text++) {
        if (iscntrl((unsigned char)*text)) {
            *text = '?';
        }
    }
}

const char *
cli_text(const json_t *o, const char *key, char *buf, size_t size)
{
    const json_t *v = json_object_get(o, key);

    (void)snprintf(buf, size, "-");
    if (json_is_integer(v)) {
        (void)snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    } else if (json_is_string(v) && json_string_length(v) > 0) {
        (void)snprintf(buf, size, "%s", json_string_value(v));
        cli_clean(buf);
    }
    return buf;
}

uint64_t
cli_number(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));

    return n > 0 ? (uint64_t)n : 0;
}

void
cli_print_json(const json_t *o)
{
    if (json_dumpf(o, stdout, JSON_COMPACT | JSON_ENCODE_ANY) == 0) {
        (void)fputc('\n', stdout); /* a failed write shows when main() flushes */
    }
    (void)fflush(stdout);
}

void
cli_print_error(int code, int rc, const char *message)
{
    const char *name = strerrorname_np(-rc);
    json_t *o = json_pack("{s:{s:i, s:s, s:s}}", "error", "code", code, "message",
                          message, "errno", name != NULL ? name : "EIO");

    cli_print_json(o); /* prints nothing for NULL: out of memory */
    json_decref(o);
}
