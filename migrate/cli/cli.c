/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "tls_settings.h"
#include "uri.h"

#define SOCKETS "/run/baton/*.ctl"
#define REACH_NS (10 * NS_PER_S)
#define REACH_SSH_NS (60 * NS_PER_S) /* a person may have to type a pass phrase */

static int
refuse_command(const char *name, const char *who, const struct cli_command *commands)
{
    char list[256] = "";
    size_t n = 0;

    for (; commands->name != NULL && n < sizeof list; commands++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n == 0 ? "" : ", ",
                              commands->name);
    }
    return cli_fail(CLI_USAGE, who, "%s%.100s; allowed: %s",
                    name == NULL ? "no command" : "no such command: ",
                    name == NULL ? "" : name, list);
}

int
cli_run_command(int argc, char **argv, const char *who,
                const struct cli_command *commands)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    for (const struct cli_command *c = commands; name != NULL && c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c->run(argc - 1, argv + 1);
        }
    }
    return refuse_command(name, who, commands);
}

/* The URI of this host's only control socket, in text. */
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
                          "no service is named, and there is no " SOCKETS
                          "; give --at URI or set BATON_CONTROL");
    } else if (g.gl_pathc > 1) {
        status = cli_fail(CLI_USAGE, command,
                          "no service is named, and there are %zu sockets " SOCKETS
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

/* Does the service answer? If it hangs, a command that waits in its socket would be
 * obeyed later, when nobody expects that any more. */
static int
await_answer(struct rpc_client *client, uint64_t deadline_ns, struct err *e)
{
    json_t *result = NULL;
    int code = 0;
    int rc = rpc_call(client, "ping", NULL, NULL, NULL, deadline_ns, e, &code, &result);

    json_decref(result);
    return code != 0 ? 0 : rc; /* a refusal is an answer, too */
}

static int
explain_reach(const struct uri *u, int rc, struct err *e)
{
    const char *advice = "is it running?";

    if (rc == -EACCES || rc == -EPERM) {
        advice = "its control socket is for the service's user only";
    } else if (rc == -ECONNRESET) {
        advice = "is that its control socket?";
    } else if (rc == -ETIMEDOUT) {
        advice = "it hangs or is stopped; nothing was asked of it, and nothing changed";
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
    if (u->kind == URI_SSH || u->kind == URI_TCP) { /* e says more than rc does */
        return err_prefix(e, rc, "cannot reach the service");
    }
    return explain_reach(u, rc, e);
}

int
cli_ask(const struct uri *u, const char *method, json_t *params, uint64_t len_ns,
        struct err *e, int *ret_code, json_t **ret_result)
{
    struct rpc_client *client = NULL;
    int rc = cli_reach(u, e, &client);

    if (rc < 0) {
        json_decref(params);
        if (ret_code != NULL) {
            *ret_code = RPC_REFUSED;
        }
        return rc;
    }
    rc = rpc_call(client, method, params, NULL, NULL, clock_deadline_ns(len_ns), e,
                  ret_code, ret_result);
    rpc_client_close(client);
    return rc;
}
