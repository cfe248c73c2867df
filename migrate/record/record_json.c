/* SPDX-License-Identifier: BSD-3-Clause */
#include "record_json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <nettle/sha2.h>

#include "cleanup.h"
#include "json_depth.h"

#define FORMAT_VERSION 1
#define MAX_DEPTH 8
#define HEX_SIZE (2 * SHA256_DIGEST_SIZE + 1)

/* The canonical text, so that indentation and order of members do not matter. */
static int
hash_body(const json_t *body, char *hex)
{
    AUTO_FREE char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;

    if (text == NULL) {
        return -ENOMEM;
    }
    sha256_init(&ctx);
    sha256_update(&ctx, strlen(text), (const uint8_t *)text);
    sha256_digest(&ctx, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)sprintf(hex + 2 * i, "%02x", digest[i]); /* HEX_SIZE has room */
    }
    return 0;
}

/* Steals body, which may be NULL (no memory). */
static char *
format_file(json_t *body)
{
    AUTO_FREE char *text = NULL;
    char *line = NULL, hex[HEX_SIZE];
    json_t *file = NULL;

    if (body != NULL && hash_body(body, hex) == 0) {
        file = json_pack("{s:i, s:s, s:O}", "baton", FORMAT_VERSION, "sha256", hex,
                         "body", body);
    }
    if (file != NULL) {
        text = json_dumps(file, JSON_INDENT(2) | JSON_SORT_KEYS);
    }
    if (text != NULL && asprintf(&line, "%s\n", text) < 0) {
        line = NULL;
    }
    json_decref(file);
    json_decref(body);
    return line;
}

/* Members that are there only when they say something, so that an older program can
 * read the others' records. */
static int
add_optional(json_t *j, const struct record *r)
{
    const struct {
        const char *key;
        uint64_t n;
    } numbers[] = {{"refused_epoch", r->refused_epoch},
                   {"forced_epoch", r->forced_epoch},
                   {"taken_at", r->taken_at},
                   {"superseded", r->superseded}};
    int rc = r->is_learned ? json_object_set_new(j, "learned", json_true()) : 0;

    for (size_t i = 0; rc == 0 && i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].n != 0) {
            rc = json_object_set_new(j, numbers[i].key,
                                     json_integer((json_int_t)numbers[i].n));
        }
    }
    if (rc == 0 && r->refused_epoch != 0) {
        rc = json_object_set_new(j, "refused_uuid", json_string(r->refused_uuid));
    }
    if (rc == 0 && r->flushed_by[0] != '\0') {
        rc = json_object_set_new(j, "flushed_by", json_string(r->flushed_by));
    }
    if (rc == 0 && r->right[0] != '\0') {
        rc = json_object_set_new(j, "right", json_string(r->right));
    }
    if (rc == 0 && r->has_parked) {
        rc = json_object_set_new(j, "parked", identity_to_json(&r->parked));
    }
    return rc;
}

static json_t *
record_to_json(const struct record *r)
{
    json_t *channels = json_array(), *j;

    for (unsigned i = 0; i < r->nr_channels; i++) {
        if (json_array_append_new(channels, json_string(r->channels[i])) < 0) {
            json_decref(channels);
            return NULL;
        }
    }
    j = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:I}",
        "name", r->name, "uuid", r->uuid, "vm", r->vm, "role", role_name(r->role),
        "epoch", (json_int_t)r->epoch, "size", (json_int_t)r->info.size, "min_block",
        (json_int_t)r->info.min_block, "pref_block", (json_int_t)r->info.pref_block,
        "max_block", (json_int_t)r->info.max_block, "caps", (json_int_t)r->info.caps,
        "peer_name", r->peer_name, "peer_control", r->peer_control, "channels",
        channels, "handoff", (json_int_t)r->handoff);
    if (j != NULL && add_optional(j, r) < 0) {
        json_decref(j);
        j = NULL;
    }
    return j;
}

char *
record_format_disk(const struct record *r, uint64_t stamp)
{
    return format_file(json_pack("{s:s, s:I, s:o}", "kind", "disk", "stamp",
                                 (json_int_t)stamp, "disk", record_to_json(r)));
}

char *
record_format_group(const struct record *records, unsigned nr, uint64_t stamp)
{
    json_t *disks = json_array();

    for (unsigned i = 0; i < nr; i++) {
        if (json_array_append_new(disks, record_to_json(&records[i])) < 0) {
            json_decref(disks);
            return NULL;
        }
    }
    return format_file(json_pack("{s:s, s:I, s:o}", "kind", "group", "stamp",
                                 (json_int_t)stamp, "disks", disks));
}

char *
record_format_service(const struct record_service *s)
{
    return format_file(json_pack("{s:s, s:s, s:I}", "kind", "service", "id", s->id,
                                 "incarnation", (json_int_t)s->incarnation));
}

/* The checked body, a new reference, or NULL and *ret_rc. */
static json_t *
parse_file(const char *text, size_t len, struct err *e, int *ret_rc)
{
    char expected[HEX_SIZE];
    const char *hex = NULL;
    json_int_t version = 0;
    json_error_t error;
    json_t *file = NULL, *body = NULL;
    int rc = -EBADMSG;

    if (!json_depth_exceeds(text, len, MAX_DEPTH)) {
        file = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    }
    if (file == NULL || json_unpack(file, "{s:I}", "baton", &version) < 0) {
        (void)err_set(e, rc, "it is not a file of Baton, or torn");
    } else if (version != FORMAT_VERSION) {
        (void)err_set(e, rc, "it has format version %lld, this program knows %d",
                      (long long)version, FORMAT_VERSION);
    } else if (json_unpack(file, "{s:I, s:s, s:o!}", "baton", &version, "sha256", &hex,
                           "body", &body) < 0 ||
               !json_is_object(body)) {
        (void)err_set(e, rc, "it does not have the members of a file of Baton");
    } else {
        rc = hash_body(body, expected);
        if (rc == 0 && strcmp(hex, expected) != 0) {
            rc = err_set(e, -EBADMSG, "its checksum is wrong");
        }
    }
    body = rc == 0 ? json_incref(body) : NULL;
    json_decref(file);
    *ret_rc = rc;
    return body;
}

static bool
copy_text(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);

    if (len >= size) {
        return false;
    }
    memcpy(to, from, len + 1);
    return true;
}

static bool
read_u32(json_int_t n, uint32_t *ret_n)
{
    if (n < 0 || n > UINT32_MAX) {
        return false;
    }
    *ret_n = (uint32_t)n;
    return true;
}

static bool
read_channels(const json_t *channels, struct record *r)
{
    size_t i;
    const json_t *j;

    if (!json_is_array(channels) || json_array_size(channels) > RECORD_MAX_URIS) {
        return false;
    }
    json_array_foreach(channels, i, j)
    {
        const char *s = json_string_value(j);

        if (s == NULL || !copy_text(r->channels[i], sizeof r->channels[i], s)) {
            return false;
        }
    }
    r->nr_channels = (unsigned)json_array_size(channels);
    return true;
}

static int
record_from_json(json_t *j, struct err *e, struct record *ret_record)
{
    struct record r = {.name = ""};
    const char *name, *uuid, *vm, *role, *peer_name, *peer_control;
    const char *refused_uuid = "", *flushed_by = "", *right = "";
    json_int_t epoch, size, min, pref, max, caps, handoff = 0, refused = 0;
    json_int_t forced = 0, taken_at = 0, superseded = 0;
    json_int_t since; /* of earlier programs, which served channels of epochs before */
    json_t *channels, *parked = NULL;
    int rc, is_learned = 0;

    if (json_unpack(j,
                    "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o, "
                    "s?I, s?I, s?b, s?I, s?s, s?I, s?I, s?I, s?s, s?s, s?o!}",
                    "name", &name, "uuid", &uuid, "vm", &vm, "role", &role, "epoch",
                    &epoch, "size", &size, "min_block", &min, "pref_block", &pref,
                    "max_block", &max, "caps", &caps, "peer_name", &peer_name,
                    "peer_control", &peer_control, "channels", &channels, "owned_since",
                    &since, "handoff", &handoff, "learned", &is_learned,
                    "refused_epoch", &refused, "refused_uuid", &refused_uuid,
                    "forced_epoch", &forced, "taken_at", &taken_at, "superseded",
                    &superseded, "flushed_by", &flushed_by, "right", &right, "parked",
                    &parked) < 0 ||
        !copy_text(r.name, sizeof r.name, name) ||
        !copy_text(r.uuid, sizeof r.uuid, uuid) ||
        !copy_text(r.refused_uuid, sizeof r.refused_uuid, refused_uuid) ||
        !copy_text(r.vm, sizeof r.vm, vm) || role_parse(role, &r.role) < 0 ||
        !read_u32(min, &r.info.min_block) || !read_u32(pref, &r.info.pref_block) ||
        !read_u32(max, &r.info.max_block) || !read_u32(caps, &r.info.caps) ||
        !copy_text(r.peer_name, sizeof r.peer_name, peer_name) ||
        !copy_text(r.peer_control, sizeof r.peer_control, peer_control) ||
        !copy_text(r.flushed_by, sizeof r.flushed_by, flushed_by) ||
        !copy_text(r.right, sizeof r.right, right) || !read_channels(channels, &r)) {
        return err_set(e, -EBADMSG, "it does not have the members of a disk's record");
    }
    r.epoch = (uint64_t)epoch; /* a negative one is out of record_check()'s range */
    r.info.size = (uint64_t)size;
    r.handoff = (uint64_t)handoff;
    r.is_learned = is_learned != 0;
    r.refused_epoch = (uint64_t)refused;
    r.forced_epoch = (uint64_t)forced;
    r.taken_at = (uint64_t)taken_at;
    r.superseded = (uint64_t)superseded;
    r.has_parked = parked != NULL;
    rc = parked != NULL ? identity_from_json(parked, e, &r.parked) : 0;
    if (rc < 0 || record_check(&r, e) < 0) {
        return -EBADMSG;
    }
    *ret_record = r;
    return 0;
}

static int
check_kind(json_t *body, const char *kind, struct err *e)
{
    const char *found = json_string_value(json_object_get(body, "kind"));

    if (found == NULL || strcmp(found, kind) != 0) {
        return err_set(e, -EBADMSG, "it is not a %s file", kind);
    }
    return 0;
}

int
record_parse_disk(const char *text, size_t len, struct err *e,
                  struct record *ret_record, uint64_t *ret_stamp)
{
    json_t *body, *disk = NULL;
    const char *kind;
    json_int_t stamp = -1;
    int rc;

    body = parse_file(text, len, e, &rc);
    if (rc == 0) {
        rc = check_kind(body, "disk", e);
    }
    if (rc == 0 && (json_unpack(body, "{s:s, s:I, s:o!}", "kind", &kind, "stamp",
                                &stamp, "disk", &disk) < 0 ||
                    stamp < 0)) {
        rc = err_set(e, -EBADMSG, "it does not have the members of a disk file");
    }
    if (rc == 0) {
        rc = record_from_json(disk, e, ret_record);
    }
    if (rc == 0) {
        *ret_stamp = (uint64_t)stamp;
    }
    json_decref(body);
    return rc;
}

static bool
has_name(const struct record *records, unsigned nr, const char *name)
{
    for (unsigned i = 0; i < nr; i++) {
        if (strcmp(records[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

int
record_parse_group(const char *text, size_t len, struct err *e, struct record *records,
                   unsigned *ret_nr, uint64_t *ret_stamp)
{
    json_t *body, *disks = NULL, *j;
    const char *kind;
    json_int_t stamp = -1;
    size_t i;
    int rc;

    body = parse_file(text, len, e, &rc);
    if (rc == 0) {
        rc = check_kind(body, "group", e);
    }
    if (rc == 0 && (json_unpack(body, "{s:s, s:I, s:o!}", "kind", &kind, "stamp",
                                &stamp, "disks", &disks) < 0 ||
                    stamp < 0 || !json_is_array(disks) || json_array_size(disks) == 0 ||
                    json_array_size(disks) > GROUP_MAX_DISKS)) {
        rc = err_set(e, -EBADMSG, "it does not have the members of a group file");
    }
    json_array_foreach(disks, i, j)
    {
        if (rc == 0) {
            rc = record_from_json(j, e, &records[i]);
        }
        if (rc == 0 && has_name(records, (unsigned)i, records[i].name)) {
            rc = err_set(e, -EBADMSG, "it names disk %s twice", records[i].name);
        }
    }
    if (rc == 0) {
        *ret_nr = (unsigned)json_array_size(disks);
        *ret_stamp = (uint64_t)stamp;
    }
    json_decref(body);
    return rc;
}

int
record_parse_service(const char *text, size_t len, struct err *e,
                     struct record_service *ret_service)
{
    const char *kind, *id = "";
    json_int_t incarnation = 0;
    json_t *body;
    int rc;

    body = parse_file(text, len, e, &rc);
    if (rc == 0) {
        rc = check_kind(body, "service", e);
    }
    if (rc == 0 && (json_unpack(body, "{s:s, s:s, s:I!}", "kind", &kind, "id", &id,
                                "incarnation", &incarnation) < 0 ||
                    !uuid_is_valid(id) || incarnation < 1 ||
                    incarnation > RECORD_MAX_INCARNATION)) {
        rc = err_set(e, -EBADMSG, "it does not have the members of a service file");
    }
    if (rc == 0) {
        (void)copy_text(ret_service->id, sizeof ret_service->id, id); /* 36 bytes */
        ret_service->incarnation = (uint64_t)incarnation;
    }
    json_decref(body);
    return rc;
}
