/* SPDX-License-Identifier: BSD-3-Clause */
/* A QEMU without libvirt. The monitor serves one client at a time, so each call makes a
 * connection of its own. Events that QEMU sends between two connections are not missed,
 * because each call first looks at what is plugged in. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "plug.h"
#include "qmp.h"

#define NODE_SUFFIX "-medium"
#define NODE_LEN (PLUG_MAX_ID + sizeof NODE_SUFFIX)
#define ASK_AGAIN_NS (2 * NS_PER_S) /* a guest may have been booting */
#define IN_USE_MS 2                 /* until QEMU has dropped the last reference */

struct plug_qmp {
    struct plug plug;
    char *path;
};

static struct plug_qmp *
qmp_of(struct plug *p)
{
    return (struct plug_qmp *)p;
}

static bool
is_no_vm(int rc)
{
    return rc == -ENOENT || rc == -ECONNREFUSED || rc == -ECONNRESET;
}

static void
node_name(const struct plug_device *d, char name[NODE_LEN])
{
    (void)snprintf(name, NODE_LEN, "%s" NODE_SUFFIX, d->id);
}

/* Has QEMU a device with this id? One that is on its way out counts. */
static int
look_at_device(struct qmp *q, const struct plug_device *d, uint64_t deadline_ns,
               struct err *e, bool *ret_has)
{
    json_t *list = NULL;
    const json_t *item;
    size_t i;
    int rc = qmp_call(q, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"),
                      deadline_ns, e, &list);

    *ret_has = false;
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        *ret_has = *ret_has || (name != NULL && strcmp(name, d->id) == 0);
    }
    json_decref(list);
    return rc;
}

/* *ret_node is a node that has the file open, either ours or one of QEMU's command
 * line; NULL: there is none. free(3) it. -EINVAL: our node has another file. */
static int
look_at_node(struct qmp *q, const struct plug_device *d, uint64_t deadline_ns,
             struct err *e, char **ret_node)
{
    char ours[NODE_LEN];
    json_t *list = NULL;
    const json_t *item;
    size_t i;
    int rc = qmp_call(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
                      deadline_ns, e, &list);

    *ret_node = NULL;
    node_name(d, ours);
    json_array_foreach(list, i, item)
    {
        const char *node = json_string_value(json_object_get(item, "node-name"));
        const char *file = json_string_value(json_object_get(item, "file"));

        const bool has_it = file != NULL && plug_is_file(d, file);

        if (rc == 0 && node != NULL && strcmp(node, ours) == 0 && !has_it) {
            rc = err_set(e, -EINVAL, "its node %s is %s, not %s", node,
                         file != NULL ? file : "something else", d->file);
        } else if (rc == 0 && *ret_node == NULL && node != NULL && has_it) {
            *ret_node = strdup(node);
            rc = *ret_node != NULL ? rc : err_set(e, -ENOMEM, "out of memory");
        }
    }
    json_decref(list);
    return rc;
}

static int
look_at_both(struct qmp *q, const struct plug_device *d, uint64_t deadline_ns,
             struct err *e, enum plug_state *ret_state)
{
    AUTO_FREE char *node = NULL;
    bool has_device = false;
    int rc = look_at_device(q, d, deadline_ns, e, &has_device);

    if (rc == 0) {
        rc = look_at_node(q, d, deadline_ns, e, &node);
    }
    if (rc < 0) {
        return rc;
    }
    if (has_device && node == NULL) {
        return err_set(e, -EINVAL, "its device %s is not %s", d->id, d->file);
    }
    if (has_device) {
        *ret_state = PLUG_IN;
    } else {
        *ret_state = node != NULL ? PLUG_OPEN : PLUG_OUT;
    }
    return 0;
}

static int
qmp_look(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
         struct err *e, enum plug_state *ret_state)
{
    struct qmp *q = NULL;
    int rc = qmp_open(qmp_of(p)->path, deadline_ns, e, &q);

    if (rc == 0) {
        rc = look_at_both(q, d, deadline_ns, e, ret_state);
    }
    qmp_close(q);
    if (is_no_vm(rc)) {
        *ret_state = PLUG_GONE;
        return 0;
    }
    return rc;
}

static int
add_node(struct qmp *q, const struct plug_device *d, uint64_t deadline_ns,
         struct err *e)
{
    char name[NODE_LEN];

    node_name(d, name);
    /* A trim drops the guest's page cache: without unmap older contents could show. */
    return qmp_call(q, "blockdev-add",
                    json_pack("{s:s,s:s,s:s,s:s,s:s}", "driver",
                              d->is_block ? "host_device" : "file", "node-name", name,
                              "filename", d->file, "locking",
                              d->is_shared ? "off" : "auto", "discard", "unmap"),
                    deadline_ns, e, NULL);
}

/* As look_at_node(), but a node is made if there is none. */
static int
need_node(struct qmp *q, const struct plug_device *d, uint64_t deadline_ns,
          struct err *e, char **ret_node)
{
    int rc = look_at_node(q, d, deadline_ns, e, ret_node);

    if (rc < 0 || *ret_node != NULL) {
        return rc;
    }
    rc = add_node(q, d, deadline_ns, e);
    if (rc < 0) {
        return rc;
    }
    rc = look_at_node(q, d, deadline_ns, e, ret_node);
    if (rc == 0 && *ret_node == NULL) {
        rc = err_set(e, -EIO, "QEMU has lost the node of %s", d->file);
    }
    return rc;
}

/* For what needs a VM that runs. */
static int
connect_running(struct plug *p, uint64_t deadline_ns, struct err *e, struct qmp **ret_q)
{
    int rc = qmp_open(qmp_of(p)->path, deadline_ns, e, ret_q);

    return is_no_vm(rc) ? err_prefix(e, rc, "the VM does not run") : rc;
}

static int
qmp_prepare(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
            struct err *e)
{
    AUTO_FREE char *node = NULL;
    struct qmp *q = NULL;
    int rc = connect_running(p, deadline_ns, e, &q);

    if (rc == 0) {
        rc = need_node(q, d, deadline_ns, e, &node);
    }
    qmp_close(q);
    return rc;
}

static int
add_device(struct qmp *q, const struct plug_device *d, const char *node,
           uint64_t deadline_ns, struct err *e)
{
    json_t *args = json_pack("{s:s,s:s,s:s,s:s,s:b,s:s*}", "driver", "virtio-blk-pci",
                             "id", d->id, "drive", node, "serial", d->id, "share-rw",
                             d->is_shared, "bus", d->bus);

    return qmp_call(q, "device_add", args, deadline_ns, e, NULL);
}

static int
qmp_in(struct plug *p, const struct plug_device *d, uint64_t deadline_ns, struct err *e)
{
    AUTO_FREE char *node = NULL;
    bool has_device = false;
    struct qmp *q = NULL;
    int rc = connect_running(p, deadline_ns, e, &q);

    if (rc < 0) {
        return rc;
    }
    rc = look_at_device(q, d, deadline_ns, e, &has_device);
    if (rc == 0 && !has_device) {
        rc = need_node(q, d, deadline_ns, e, &node);
    }
    if (rc == 0 && !has_device) {
        rc = add_device(q, d, node, deadline_ns, e);
    }
    qmp_close(q);
    return rc;
}

/* Ask the guest until the event comes, or the device is not there any more. */
static int
pull_out(struct qmp *q, const struct plug_device *d, uint64_t deadline_ns,
         struct err *e)
{
    static const char *const events[2] = {"DEVICE_DELETED",
                                          "DEVICE_UNPLUG_GUEST_ERROR"};
    bool has_device = true;
    unsigned which;
    int rc;

    for (;;) {
        const uint64_t end_ns =
            clock_earlier(deadline_ns, clock_deadline_ns(ASK_AGAIN_NS));

        rc = look_at_device(q, d, deadline_ns, e, &has_device);
        if (rc < 0 || !has_device) {
            return rc;
        }
        /* -EREMOTEIO: QEMU remembers an earlier request, and its event is due. */
        rc = qmp_call(q, "device_del", json_pack("{s:s}", "id", d->id), deadline_ns, e,
                      NULL);
        if (rc < 0 && rc != -EREMOTEIO) {
            return rc;
        }
        rc = qmp_await(q, events, d->id, end_ns, e, &which);
        if (rc == 0 && which == 1) {
            return err_set(e, -EBUSY, "the guest refuses to let %s go", d->id);
        }
        if (rc == 0 || rc != -ETIMEDOUT) {
            return rc;
        }
        if (clock_now_ns() >= deadline_ns) {
            return err_set(e, rc,
                           "the guest was asked to let %s go and has not done so yet",
                           d->id);
        }
    }
}

/* Delete every node with the file. Right after the event a node may still be in use. */
static int
close_file(struct qmp *q, const struct plug_device *d, uint64_t deadline_ns,
           struct err *e)
{
    for (;;) {
        AUTO_FREE char *node = NULL;
        int rc = look_at_node(q, d, deadline_ns, e, &node);

        if (rc < 0 || node == NULL) {
            return rc;
        }
        rc = qmp_call(q, "blockdev-del", json_pack("{s:s}", "node-name", node),
                      deadline_ns, e, NULL);
        if (rc < 0 && (rc != -EREMOTEIO || clock_now_ns() >= deadline_ns)) {
            return rc;
        }
        if (rc < 0) {
            (void)poll(NULL, 0, IN_USE_MS);
        }
    }
}

static int
qmp_out(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
        struct err *e)
{
    struct qmp *q = NULL;
    int rc = qmp_open(qmp_of(p)->path, deadline_ns, e, &q);

    if (rc == 0) {
        rc = pull_out(q, d, deadline_ns, e);
    }
    if (rc == 0) {
        rc = close_file(q, d, deadline_ns, e);
    }
    qmp_close(q);
    return is_no_vm(rc) ? 0 : rc; /* a QEMU that has ended has nothing open */
}

static void
qmp_plug_close(struct plug *p)
{
    free(qmp_of(p)->path);
    free(p);
}

static const struct plug_ops qmp_ops = {.name = "qmp",
                                        .look = qmp_look,
                                        .prepare = qmp_prepare,
                                        .in = qmp_in,
                                        .out = qmp_out,
                                        .close = qmp_plug_close};

int
plug_qmp_open(const char *path, struct err *e, struct plug **ret_p)
{
    struct plug_qmp *p = calloc(1, sizeof *p);

    if (p == NULL || (p->path = strdup(path)) == NULL) {
        free(p);
        return err_set(e, -ENOMEM, "out of memory");
    }
    p->plug.ops = &qmp_ops;
    *ret_p = &p->plug;
    return 0;
}
