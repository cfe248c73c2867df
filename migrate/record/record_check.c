/* SPDX-License-Identifier: BSD-3-Clause */
/* What a record may say, which is asked before one is written and of each that is read,
 * and the words for roles. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "record_json.h"

#define MAX_BLOCK_MIN 65536U
#define PREF_BLOCK_MIN 512U
#define PREF_BLOCK_MAX (32U * 1024 * 1024)

static const char *const role_names[ROLE_NR] = {
    [ROLE_OWNER] = "owner",
    [ROLE_STANDBY] = "standby",
    [ROLE_GIVEN] = "given",
    [ROLE_PARKED] = "parked",
};

const char *
role_name(enum role r)
{
    assert((unsigned)r < ROLE_NR);
    return role_names[r];
}

int
role_parse(const char *s, enum role *ret_role)
{
    for (unsigned i = 0; i < ROLE_NR; i++) {
        if (strcmp(s, role_names[i]) == 0) {
            *ret_role = (enum role)i;
            return 0;
        }
    }
    return -EINVAL;
}

static bool
is_power_of_two(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static int
check_info(const struct record *r, struct err *e)
{
    const struct port_info *i = &r->info;

    if (i->size == 0 && i->min_block == 0 && i->pref_block == 0 && i->max_block == 0 &&
        i->caps == 0) {
        return 0; /* nothing is known yet */
    }
    if (i->size > INT64_MAX) {
        return err_set(e, -EINVAL, "size is above 2^63-1");
    }
    if (!is_power_of_two(i->min_block) || i->min_block > MAX_BLOCK_MIN) {
        return err_set(e, -EINVAL, "min_block is not a power of two up to 65536");
    }
    if (!is_power_of_two(i->pref_block) || i->pref_block < PREF_BLOCK_MIN ||
        i->pref_block > PREF_BLOCK_MAX || i->pref_block < i->min_block) {
        return err_set(e, -EINVAL, "pref_block is not a power of two in range");
    }
    if (i->max_block < i->min_block ||
        (i->max_block != UINT32_MAX && i->max_block % i->min_block != 0)) {
        return err_set(e, -EINVAL, "max_block is not a multiple of min_block");
    }
    return 0;
}

/* Terminated, and able to stand in JSON? */
static bool
is_text(const char *s, size_t size)
{
    json_t *j = strnlen(s, size) < size ? json_string(s) : NULL;
    bool is_good = j != NULL;

    json_decref(j);
    return is_good;
}

static int
check_promise(const struct record *r, struct err *e)
{
    bool is_promise = r->refused_epoch != 0;

    if (r->refused_epoch > INT64_MAX ||
        strnlen(r->refused_uuid, sizeof r->refused_uuid) == sizeof r->refused_uuid ||
        (is_promise ? !uuid_is_valid(r->refused_uuid) : r->refused_uuid[0] != '\0')) {
        return err_set(e, -EINVAL,
                       "refused_epoch and refused_uuid do not fit together");
    }
    if (r->is_learned && r->role != ROLE_GIVEN) {
        return err_set(e, -EINVAL, "learned is set, but the role is not given");
    }
    return 0;
}

static int
check_peer(const struct record *r, struct err *e)
{
    if (!is_text(r->peer_name, sizeof r->peer_name) ||
        (r->peer_name[0] != '\0' && !name_is_valid(r->peer_name))) {
        return err_set(e, -EINVAL, "peer_name is not a valid name");
    }
    if (!is_text(r->peer_control, sizeof r->peer_control)) {
        return err_set(e, -EINVAL, "peer_control is too long or not UTF-8");
    }
    if (strnlen(r->flushed_by, sizeof r->flushed_by) == sizeof r->flushed_by ||
        (r->flushed_by[0] != '\0' && !channel_instance_is_valid(r->flushed_by))) {
        return err_set(e, -EINVAL, "flushed_by is not an instance");
    }
    if (strnlen(r->right, sizeof r->right) == sizeof r->right ||
        (r->right[0] != '\0' && !channel_right_is_valid(r->right))) {
        return err_set(e, -EINVAL, "right is not 32 digits of hex");
    }
    if (r->nr_channels > RECORD_MAX_URIS) {
        return err_set(e, -EINVAL, "there are more than %d channels", RECORD_MAX_URIS);
    }
    for (unsigned i = 0; i < r->nr_channels; i++) {
        if (!is_text(r->channels[i], sizeof r->channels[i]) ||
            r->channels[i][0] == '\0') {
            return err_set(e, -EINVAL, "a channel is empty, too long or not UTF-8");
        }
    }
    return 0;
}

static int
check_numbers(const struct record *r, struct err *e)
{
    bool is_standby = r->role == ROLE_STANDBY;

    if (r->epoch > INT64_MAX || (r->epoch == 0 && !is_standby)) {
        return err_set(e, -EINVAL, "epoch is out of range");
    }
    if (r->handoff > INT64_MAX) {
        return err_set(e, -EINVAL, "handoff is out of range");
    }
    if (r->forced_epoch > r->epoch || r->taken_at > INT64_MAX) {
        return err_set(e, -EINVAL, "forced_epoch or taken_at is out of range");
    }
    if (r->superseded > r->epoch || (r->superseded != 0 && !is_standby)) {
        return err_set(e, -EINVAL,
                       "superseded is out of range, or the role is not standby");
    }
    return 0;
}

static int
check_parked(const struct record *r, struct err *e)
{
    if (!r->has_parked) {
        return 0;
    }
    if (r->role != ROLE_PARKED && (r->role != ROLE_GIVEN || r->is_learned)) {
        return err_set(e, -EINVAL,
                       "parked is set, but the role is neither parked nor given by us");
    }
    for (unsigned i = 0; i < IDENTITY_SAMPLES; i++) {
        if (!is_text(r->parked.samples[i], sizeof r->parked.samples[i])) {
            return err_set(e, -EINVAL, "parked has a malformed sample");
        }
    }
    return is_text(r->parked.device_id, sizeof r->parked.device_id)
               ? 0
               : err_set(e, -EINVAL, "parked has a malformed device");
}

static int
check_names(const struct record *r, struct err *e)
{
    if (strnlen(r->uuid, sizeof r->uuid) == sizeof r->uuid ||
        (!uuid_is_valid(r->uuid) && !(r->role == ROLE_STANDBY && r->uuid[0] == '\0'))) {
        return err_set(e, -EINVAL, "uuid is not 36 characters of lower case");
    }
    if (strnlen(r->vm, sizeof r->vm) == sizeof r->vm ||
        (r->vm[0] != '\0' && !name_is_valid(r->vm))) {
        return err_set(e, -EINVAL, "vm is not a valid name");
    }
    if ((unsigned)r->role >= ROLE_NR) {
        return err_set(e, -EINVAL, "the role is unknown");
    }
    return 0;
}

int
record_check(const struct record *r, struct err *e)
{
    static int (*const checks[])(const struct record *, struct err *) = {
        check_names, check_numbers, check_info, check_peer, check_promise, check_parked,
    };

    if (strnlen(r->name, sizeof r->name) == sizeof r->name || !name_is_valid(r->name)) {
        return err_set(e, -EINVAL, "a record without a valid disk name");
    }
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        int rc = checks[i](r, e);

        if (rc < 0) {
            return err_prefix(e, rc, "record of disk %s", r->name);
        }
    }
    return 0;
}
