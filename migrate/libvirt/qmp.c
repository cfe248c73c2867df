/* SPDX-License-Identifier: BSD-3-Clause */
#include "qmp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "json_depth.h"
#include "rpc_frame.h"
#include "uri.h"

#define MAX_LINE (16U * 1024 * 1024) /* a VM with many disks lists all its nodes */
#define MAX_DEPTH 128
#define MAX_EVENTS 256 /* that are kept; older ones are of no use */

struct qmp {
    int fd;
    json_int_t last_id;
    json_t *events; /* of devices, oldest first */
    struct rpc_frame_reader reader;
};

static int
read_object(struct qmp *q, uint64_t deadline_ns, struct err *e, json_t **ret_object)
{
    const char *line;
    size_t len;
    int rc = rpc_frame_read(&q->reader, deadline_ns, &line, &len);

    if (rc == 0) {
        return err_set(e, -ECONNRESET, "QEMU has closed its monitor");
    }
    if (rc < 0) {
        return err_set(e, rc, "QEMU's monitor: %s", err_text(NULL, rc));
    }
    *ret_object = json_depth_exceeds(line, len, MAX_DEPTH)
                      ? NULL
                      : json_loadb(line, len, 0, NULL);
    if (!json_is_object(*ret_object)) {
        json_decref(*ret_object);
        return err_set(e, -EPROTO, "the program that answers is not QEMU's monitor");
    }
    return 0;
}

/* Keep object if it is an event; false: it is something else. */
static bool
take_event(struct qmp *q, json_t *object)
{
    if (!json_is_string(json_object_get(object, "event"))) {
        return false;
    }
    if (json_array_size(q->events) == MAX_EVENTS) {
        (void)json_array_remove(q->events, 0);
    }
    (void)json_array_append(q->events, object);
    return true;
}

int
qmp_open(const char *path, uint64_t deadline_ns, struct err *e, struct qmp **ret_q)
{
    struct uri u = {.kind = URI_UNIX};
    struct qmp *q = calloc(1, sizeof *q);
    json_t *greeting = NULL;
    int pid, rc;

    if (q == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    (void)snprintf(u.path, sizeof u.path, "%s", path);
    (void)snprintf(u.text, sizeof u.text, "unix:%s", path);
    rc = uri_connect(&u, deadline_ns, e, &q->fd, &pid);
    if (rc < 0) {
        free(q);
        return rc;
    }
    rpc_frame_reader_init(&q->reader, q->fd, MAX_LINE);
    q->events = json_array();
    rc = read_object(q, deadline_ns, e, &greeting);
    if (rc == -ETIMEDOUT) {
        (void)err_set(
            e, rc, "QEMU's monitor says nothing; is another program connected to it?");
    } else if (rc == 0 && json_object_get(greeting, "QMP") == NULL) {
        rc = err_set(e, -EPROTO, "the program that answers is not QEMU's monitor");
    }
    json_decref(greeting);
    if (rc == 0) {
        rc = qmp_call(q, "qmp_capabilities", NULL, deadline_ns, e, NULL);
    }
    if (rc < 0) {
        qmp_close(q);
        return err_prefix(e, rc, "%s", path);
    }
    *ret_q = q;
    return 0;
}

void
qmp_close(struct qmp *q)
{
    if (q != NULL) {
        (void)close(q->fd); /* nothing is under way */
        rpc_frame_reader_done(&q->reader);
        json_decref(q->events);
        free(q);
    }
}

static int
send_command(struct qmp *q, const char *command, json_t *args, uint64_t deadline_ns,
             struct err *e)
{
    json_t *j = json_pack("{s:s,s:I,s:o}", "execute", command, "id", ++q->last_id,
                          "arguments", args != NULL ? args : json_object());
    AUTO_FREE char *line = NULL;
    size_t len = 0;
    int rc = j != NULL ? rpc_frame_dump(j, MAX_LINE, &line, &len) : -ENOMEM;

    json_decref(j);
    if (rc == 0) {
        rc = rpc_frame_write(q->fd, line, len, deadline_ns);
    }
    if (rc == -EPIPE) {
        rc = -ECONNRESET;
    }
    return rc < 0 ? err_set(e, rc, "%s: %s", command, err_text(NULL, rc)) : 0;
}

/* Is it the answer to the last command? */
static bool
is_answer(const struct qmp *q, const json_t *object)
{
    const json_t *id = json_object_get(object, "id");

    return json_is_integer(id) && json_integer_value(id) == q->last_id;
}

/* Events that come before the answer are kept. */
static int
read_answer(struct qmp *q, uint64_t deadline_ns, struct err *e, json_t **ret_answer)
{
    for (;;) {
        json_t *object = NULL;
        int rc = read_object(q, deadline_ns, e, &object);

        if (rc < 0) {
            return rc;
        }
        if (!take_event(q, object) && is_answer(q, object)) {
            *ret_answer = object;
            return 0;
        }
        json_decref(object);
    }
}

int
qmp_call(struct qmp *q, const char *command, json_t *args, uint64_t deadline_ns,
         struct err *e, json_t **ret_result)
{
    json_t *answer = NULL;
    const json_t *error;
    const char *desc;
    int rc = send_command(q, command, args, deadline_ns, e);

    if (rc == 0) {
        rc = read_answer(q, deadline_ns, e, &answer);
    }
    if (rc < 0) {
        return err_prefix(e, rc, "%s", command);
    }
    error = json_object_get(answer, "error");
    desc = json_string_value(json_object_get(error, "desc"));
    if (error != NULL) {
        rc = err_set(e, -EREMOTEIO, "%s: %s", command,
                     desc != NULL ? desc : "refused without a reason");
    } else if (ret_result != NULL) {
        *ret_result = json_incref(json_object_get(answer, "return"));
    }
    json_decref(answer);
    return rc;
}

/* Which of the two events of this device it is; 2: neither. */
static unsigned
which_event(const json_t *object, const char *const events[2], const char *device)
{
    const json_t *data = json_object_get(object, "data");
    const char *name = json_string_value(json_object_get(object, "event"));
    const char *its = json_string_value(json_object_get(data, "device"));
    unsigned i = 0;

    if (name == NULL || its == NULL || strcmp(its, device) != 0) {
        return 2;
    }
    while (i < 2 && strcmp(name, events[i]) != 0) {
        i++;
    }
    return i;
}

int
qmp_await(struct qmp *q, const char *const events[2], const char *device,
          uint64_t deadline_ns, struct err *e, unsigned *ret_which)
{
    for (;;) {
        json_t *object = NULL;
        int rc;

        while (json_array_size(q->events) > 0) {
            *ret_which = which_event(json_array_get(q->events, 0), events, device);
            (void)json_array_remove(q->events, 0);
            if (*ret_which < 2) {
                return 0;
            }
        }
        rc = read_object(q, deadline_ns, e, &object);
        if (rc < 0) {
            return rc;
        }
        (void)take_event(q, object); /* no answer can come now */
        json_decref(object);
    }
}
