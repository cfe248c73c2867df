/* SPDX-License-Identifier: BSD-3-Clause */
#include "owner_word.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "peer_ask.h"

int
owner_word_ask(const char *control_uri, uint64_t deadline_ns, struct err *e,
               json_t **ret_status)
{
    struct uri u;
    int rc = uri_parse(control_uri, URI_FOR_CONTROL, e, &u);

    if (rc < 0) {
        return rc;
    }
    return peer_ask(&u, "status", NULL,
                    (struct peer_patience){CLOCK_NEVER, deadline_ns}, e, NULL,
                    ret_status);
}

static const char *
text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s != NULL ? s : "";
}

static uint64_t
number_of(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));

    return n > 0 ? (uint64_t)n : 0;
}

static void
take_name(char to[NAME_MAX_LEN + 1], const char *name)
{
    if (name_is_valid(name)) {
        (void)snprintf(to, NAME_MAX_LEN + 1, "%s", name);
    }
}

/* The disk with our uuid, else the one with our name, else NULL. */
static const json_t *
find_disk(const json_t *disks, const struct record *rec)
{
    const json_t *disk, *namesake = NULL;
    size_t i;

    json_array_foreach(disks, i, disk)
    {
        if (rec->uuid[0] != '\0' && strcmp(text_of(disk, "uuid"), rec->uuid) == 0) {
            return disk;
        }
        if (strcmp(text_of(disk, "name"), rec->name) == 0) {
            namesake = disk;
        }
    }
    return namesake;
}

void
owner_word_read(const json_t *status, const struct record *rec, struct owner_word *o)
{
    const json_t *disk = find_disk(json_object_get(status, "disks"), rec);
    const char *uuid = text_of(disk, "uuid");

    take_name(o->service, text_of(status, "service"));
    if (disk == NULL) {
        o->kind = WORD_NO_DISK;
    } else if (uuid[0] != '\0' && rec->uuid[0] != '\0' &&
               strcmp(uuid, rec->uuid) != 0) {
        o->kind = WORD_OTHER_DISK;
    } else if (role_parse(text_of(disk, "role"), &o->role) < 0) {
        o->kind = WORD_SILENT;
        (void)snprintf(o->why, sizeof o->why, "its answer names no role of the disk");
    } else {
        o->kind = WORD_ROLE;
        o->epoch = number_of(disk, "epoch");
        o->forced_epoch = number_of(disk, "forced_epoch");
        o->is_superseded = strcmp(text_of(disk, "state"), "superseded") == 0;
        take_name(o->owner, text_of(disk, "owner"));
    }
}

bool
owner_word_is_role(const struct owner_word *o, enum role role)
{
    return o->kind == WORD_ROLE && o->role == role;
}

const struct owner_word *
owner_word_find_newer(const struct record *rec, const char *service,
                      const struct owner_word *others, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        const struct owner_word *o = &others[i];
        /* An owner at our own epoch was made by a person who could not see us. */
        uint64_t min = owner_word_is_role(o, ROLE_OWNER) ? rec->epoch : rec->epoch + 1;
        /* What is on its way to us is no other's. */
        bool is_ours =
            owner_word_is_role(o, ROLE_GIVEN) && strcmp(o->owner, service) == 0;

        if (o->kind == WORD_ROLE && o->epoch >= min && !is_ours) {
            return o;
        }
    }
    return NULL;
}
