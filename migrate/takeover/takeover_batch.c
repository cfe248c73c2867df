/* SPDX-License-Identifier: BSD-3-Clause */
#include "takeover_batch.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service.h"

static int
parse_one(struct service *s, struct batch *b, json_t *item, struct err *e)
{
    const char *name, *uuid, *flushed_by = NULL, *right = "";
    json_int_t epoch;
    struct disk *d;

    if (json_unpack(item, "{s:s,s:s,s:I,s?s,s?s}", "name", &name, "uuid", &uuid,
                    "epoch", &epoch, "flushed_by", &flushed_by, "right", &right) != 0 ||
        (right[0] != '\0' && !channel_right_is_valid(right)) ||
        (flushed_by != NULL && flushed_by[0] != '\0' &&
         !channel_instance_is_valid(flushed_by)) ||
        !name_is_valid(name) || !uuid_is_valid(uuid) || epoch < 1 ||
        epoch == INT64_MAX) { /* an owner needs a next epoch */
        return err_set(e, -EBADMSG, "malformed disk: name, uuid and epoch expected");
    }
    d = service_find_disk(s, name);
    if (d == NULL) {
        return err_set(e, -ENOENT, "%s has no disk %s in its configuration",
                       s->cfg->name, name);
    }
    for (unsigned i = 0; i < b->nr; i++) {
        if (b->disks[i] == d) {
            return err_set(e, -EBADMSG, "disk %s is named twice", name);
        }
    }
    b->disks[b->nr] = d;
    b->uuids[b->nr] = uuid;
    b->flushed_by[b->nr] = flushed_by != NULL ? flushed_by : "";
    b->is_unflushed[b->nr] = flushed_by != NULL && flushed_by[0] == '\0';
    b->rights[b->nr] = right;
    b->epochs[b->nr] = (uint64_t)epoch;
    b->items[b->nr++] = item;
    return 0;
}

int
batch_parse(struct service *s, json_t *params, struct err *e, struct batch *b)
{
    json_t *list;
    size_t n;

    *b = (struct batch){.boot_id = "", .from_control = ""};
    if (json_unpack(params, "{s:s,s?s,s?s,s:o}", "from", &b->from, "from_control",
                    &b->from_control, "boot_id", &b->boot_id, "disks", &list) != 0 ||
        !name_is_valid(b->from) || !json_is_array(list)) {
        return err_set(e, -EBADMSG, "malformed call: from and disks expected");
    }
    n = json_array_size(list);
    if (n < 1 || n > GROUP_MAX_DISKS) {
        return err_set(e, -EBADMSG, "1 to %d disks expected", GROUP_MAX_DISKS);
    }
    for (size_t i = 0; i < n; i++) {
        int rc = parse_one(s, b, json_array_get(list, i), e);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

void
batch_unclaim(struct batch *b)
{
    for (unsigned i = 0; i < b->nr; i++) {
        disk_unclaim(b->disks[i]);
    }
}

int
batch_claim(struct batch *b, uint64_t deadline_ns, struct err *e)
{
    for (unsigned i = 0; i < b->nr; i++) {
        int rc =
            disk_claim_by(b->disks[i], "a handoff to this service", deadline_ns, e);

        if (rc < 0) {
            while (i > 0) {
                disk_unclaim(b->disks[--i]);
            }
            return rc;
        }
    }
    return 0;
}

void
batch_history(const struct batch *b, unsigned i, struct record *rec)
{
    json_int_t forced =
        json_integer_value(json_object_get(b->items[i], "forced_epoch"));
    json_int_t at = json_integer_value(json_object_get(b->items[i], "taken_at"));

    (void)snprintf(rec->flushed_by, sizeof rec->flushed_by, "%s", b->flushed_by[i]);
    rec->forced_epoch = forced > 0 ? (uint64_t)forced : 0;
    rec->taken_at = at > 0 ? (uint64_t)at : 0;
    if (strlen(b->from_control) < sizeof rec->peer_control) {
        (void)snprintf(rec->peer_control, sizeof rec->peer_control, "%s",
                       b->from_control);
    } else {
        rec->peer_control[0] = '\0';
    }
}
