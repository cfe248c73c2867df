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
#include "rpc_frame.h"
#include "tls_settings.h"
#include "uri.h"

#define SOCKETS "/run/baton/*.ctl"
#define REACH_NS (10 * NS_PER_S)
#define REACH_SSH_NS (60 * NS_PER_S) /* somebody may have to type a pass phrase */

/* What cli_end() needs to know. One thread. */
static struct {
    char sentence[2048]; /* the last one */
    int rc;              /* of it */
    bool is_json_printed;
    bool has_changed;
} said;

static void say(int rc, const char *command, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
say(int rc, const char *command, const char *fmt, va_list ap)
{
    size_t len = strlen(command);
    const char *text = said.sentence;

    (void)vsnprintf(said.sentence, sizeof said.sentence, fmt, ap);
    said.rc = rc;
    cli_clean(said.sentence);
    if (strncmp(text, command, len) == 0 && strncmp(text + len, ": ", 2) == 0) {
        text += len + 2; /* the method of a failed call has the command's name */
    }
    (void)fprintf(stderr, "baton: %s: %s\n", command, text);
}

int
cli_fail(int status, const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(status == CLI_USAGE || status == 0 ? -EINVAL : -EIO, command, fmt, ap);
    va_end(ap);
    return status;
}

int
cli_refuse(int rc, const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(rc, command, fmt, ap);
    va_end(ap);
    return CLI_REFUSED;
}

void
cli_note_change(void)
{
    said.has_changed = true;
}

/* Also of a command line that was refused before this was read. */
static bool
wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

int
cli_end(int argc, char **argv, int status)
{
    if (status != CLI_DONE && !said.is_json_printed && wants_json(argc, argv)) {
        cli_print_error(status, said.rc, said.sentence);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_DONE) {
        status =
            said.has_changed
                ? cli_fail(CLI_COMMITTED, "output",
                           "it is done, but standard output cannot be written; "
                           "see baton status")
                : cli_fail(CLI_REFUSED, "output", "cannot write to standard output");
    }
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

/* argv[optind - 1] is what was refused, unless that is one letter of several. */
static void
refuse_option(char **argv, const struct option *all)
{
    const char *arg = argv[optind - 1], *equals = strchr(arg, '=');
    char list[512], letter[3] = {'-', (char)optopt, '\0'};

    for (const struct option *o = all; o->name != NULL && equals != NULL; o++) {
        if (o->val == optopt && o->has_arg == no_argument && equals > arg + 2 &&
            strncmp(arg + 2, o->name, (size_t)(equals - arg) - 2) == 0) {
            (void)cli_fail(0, argv[0], "--%s takes no value", o->name);
            return;
        }
    }
    list_options(all, list, sizeof list);
    (void)cli_fail(0, argv[0], "no such option: %.100s; allowed: %s",
                   optopt != 0 ? letter : arg, list);
}

int
cli_next_option(int argc, char **argv, const struct option *options)
{
    struct option all[CLI_MAX_OPTIONS];
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
        (void)cli_fail(0, argv[0], "%.100s needs a value", argv[optind - 1]);
        return '?';
    }
    if (val == '?') {
        refuse_option(argv, all);
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
        (void)cli_fail(0, command, "%s %.100s: allowed: %u to %u", option, text, min,
                       max);
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

/* Does whoever listens there answer? An order that lies in the socket of a service that
 * hangs would be obeyed when nobody expects it any more. */
static int
await_answer(struct rpc_client *client, uint64_t deadline_ns, struct err *e)
{
    json_t *result = NULL;
    int code = 0;
    int rc = rpc_call(client, "ping", NULL, NULL, NULL, deadline_ns, e, &code, &result);

    json_decref(result);
    return code != 0 ? 0 : rc; /* a refusal is an answer */
}

static int
explain_reach(const struct uri *u, int rc, struct err *e)
{
    const char *advice = "is it running?";

    if (rc == -EACCES || rc == -EPERM) {
        advice = "it is for the service's user only";
    } else if (rc == -ECONNRESET) {
        advice = "is that its control socket?";
    } else if (rc == -ETIMEDOUT) {
        advice = "it hangs or is stopped, and nothing was asked of it";
    }
    return err_set(e, rc, "cannot reach the service at %s: %s; %s", u->text,
                   rc == -ETIMEDOUT ? "no answer" : err_text(NULL, rc), advice);
}

int
cli_reach(const struct uri *u, struct err *e, struct rpc_client **ret_client)
{
    const uint64_t deadline_ns =
        clock_deadline_ns(u->kind == URI_SSH ? REACH_SSH_NS : REACH_NS);
    struct rpc_client *client;
    int rc = rpc_client_open(u, deadline_ns, e, &client);

    if (rc == 0) {
        rc = await_answer(client, deadline_ns, e);
        if (rc == 0) {
            *ret_client = client;
            return 0;
        }
        rpc_client_close(client);
    }
    return u->kind == URI_SSH || u->kind == URI_TCP /* more to say */
               ? err_prefix(e, rc, "cannot reach the service")
               : explain_reach(u, rc, e);
}

void
cli_clean(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

        if (c == 0xc2 && next >= 0x80 && next < 0xa0) { /* U+0080 to U+009F */
            *text++ = '?';
            *text = '?';
        } else if (iscntrl(c)) {
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
        said.is_json_printed = true;
    }
    (void)fflush(stdout);
}

void
cli_print_error(int code, int rc, const char *message)
{
    const char *name = strerrorname_np(-rc);
    json_t *o =
        json_pack("{s:{s:i, s:o, s:s}}", "error", "code", code, "message",
                  rpc_frame_text(message), "errno", name != NULL ? name : "EIO");

    cli_print_json(o); /* prints nothing for NULL: out of memory */
    json_decref(o);
}
