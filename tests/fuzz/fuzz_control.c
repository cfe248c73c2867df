/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: the input is what a client sends, the server's own code answers,
 * and the methods are the real ones on a real service with three disks. Nothing leaves
 * the process but connections to a socket that is not there. Every input that changes
 * something is followed by a new service, so that inputs do not depend on each other.
 *
 * Every answer has to be well-formed, and a method that refuses changes nothing. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "control.h"
#include "fuzz.h"
#include "fuzz_service.h"
#include "rpc_conn.h"

#define MAX_INPUT 16384 /* fits in a socket, so that it can be sent first */

static struct fuzz_service service;

/* Only to a control socket that nobody listens on: never to ssh, nor to a socket of the
 * machine. */
static bool
is_harmless(json_t *params)
{
    json_t *to = json_object_get(params, "to");
    struct uri u;

    return !json_is_string(to) || strcmp(json_string_value(to), FUZZ_PEER) == 0 ||
           uri_parse(json_string_value(to), URI_FOR_CONTROL, NULL, &u) < 0;
}

static int
call_checked(unsigned method, struct rpc_call *call, json_t *params, struct err *e,
             json_t **ret_result)
{
    struct fuzz_snapshot before, after;
    int rc;

    if (!is_harmless(params)) {
        return err_set(e, -EINVAL, "not while fuzzing");
    }
    fuzz_service_look(&service, &before);
    rc = control_methods[method].handler(service.service, call, params, e, ret_result);
    fuzz_service_look(&service, &after);
    FUZZ_CHECK(!after.is_claimed);
    if (rc < 0) {
        FUZZ_CHECK_REFUSAL(rc, e);
        /* A prepare that is refused forgets what another one has prepared. */
        for (unsigned i = 0; i < FUZZ_NR_DISKS; i++) {
            FUZZ_CHECK(!after.disks[i].is_prepared || before.disks[i].is_prepared);
            after.disks[i].is_prepared = before.disks[i].is_prepared;
        }
        FUZZ_CHECK(memcmp(&before, &after, sizeof before) == 0);
    }
    return rc;
}

/* A table of handlers has no room for an argument of ours: one function each. */
#define METHOD(n)                                                                      \
    static int method_##n(void *ctx, struct rpc_call *call, json_t *params,            \
                          struct err *e, json_t **ret_result)                          \
    {                                                                                  \
        (void)ctx;                                                                     \
        return call_checked(n, call, params, e, ret_result);                           \
    }
METHOD(0)
METHOD(1)
METHOD(2)
METHOD(3)
METHOD(4)
METHOD(5)
METHOD(6)
METHOD(7)
METHOD(8)
METHOD(9)
METHOD(10)
METHOD(11)
METHOD(12)
METHOD(13)
METHOD(14)
METHOD(15)
METHOD(16)
METHOD(17)
METHOD(18)
METHOD(19)
METHOD(20)
METHOD(21)
METHOD(22)
METHOD(23)

static const rpc_handler wrappers[] = {
    method_0,  method_1,  method_2,  method_3,  method_4,  method_5,
    method_6,  method_7,  method_8,  method_9,  method_10, method_11,
    method_12, method_13, method_14, method_15, method_16, method_17,
    method_18, method_19, method_20, method_21, method_22, method_23};
#define MAX_METHODS (sizeof wrappers / sizeof wrappers[0])

static struct rpc_method methods[MAX_METHODS + 1];

static void
check_reply(const char *line, size_t len)
{
    json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *error = json_object_get(j, "error"), *result = json_object_get(j, "result");
    const char *version = json_string_value(json_object_get(j, "jsonrpc"));
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));

    FUZZ_CHECK(json_is_object(j) && version != NULL && strcmp(version, "2.0") == 0);
    if (json_object_get(j, "method") != NULL) { /* progress */
        FUZZ_CHECK(json_object_get(j, "id") == NULL);
    } else {
        FUZZ_CHECK(json_object_get(j, "id") != NULL);
        FUZZ_CHECK((error != NULL) != (result != NULL));
    }
    if (error != NULL) {
        FUZZ_CHECK(message != NULL && message[0] != '\0');
        FUZZ_CHECK(code == RPC_REFUSED || code == RPC_COMMITTED || code == -32700 ||
                   (code <= -32600 && code >= -32603));
    }
    json_decref(j);
}

/* The client: reads until the server is done, and judges every line. */
static void *
read_replies(void *opaque)
{
    FILE *f = fdopen(*(int *)opaque, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    FUZZ_CHECK(f != NULL);
    while ((n = getline(&line, &size, f)) > 0) {
        FUZZ_CHECK(line[n - 1] == '\n');
        check_reply(line, (size_t)n - 1);
    }
    free(line);
    (void)fclose(f); /* it was read */
    return NULL;
}

static void
start(void)
{
    if (methods[0].name == NULL) {
        for (unsigned i = 0; control_methods[i].name != NULL; i++) {
            FUZZ_CHECK(i < MAX_METHODS);
            methods[i] = (struct rpc_method){control_methods[i].name, wrappers[i]};
        }
        fuzz_service_start(&service);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_service door = {.methods = methods};
    struct fuzz_snapshot now;
    pthread_t client;
    int fds[2];

    if (size > MAX_INPUT) {
        return 0;
    }
    start();
    door.ctx = service.service;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    FUZZ_CHECK(size == 0 || send(fds[0], data, size, 0) == (ssize_t)size);
    FUZZ_CHECK(shutdown(fds[0], SHUT_WR) == 0);
    FUZZ_CHECK(pthread_create(&client, NULL, read_replies, &fds[0]) == 0);
    rpc_conn_serve(fds[1], &door);
    (void)close(fds[1]);
    FUZZ_CHECK(pthread_join(client, NULL) == 0);
    fuzz_service_look(&service, &now);
    if (memcmp(&now, &service.fresh, sizeof now) != 0) {
        fuzz_service_restart(&service);
    }
    return 0;
}
