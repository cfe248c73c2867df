/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <nettle/base16.h>
#include <nettle/sha2.h>

#include "cleanup.h"
#include "clock.h"

/* A server that may come back (port_nbd.h) is not waited for with a disk's claim. */
#define READ_NS (10 * NS_PER_S)

#define SAMPLE_LEN 4096U

/* The i-th sample: the first and the last block, and others spread by a fixed
 * multiplicative hash, so that both sides choose the same without talking. */
static struct req
sample_at(const struct port_info *info, unsigned i)
{
    uint32_t len = info->min_block > SAMPLE_LEN ? info->min_block : SAMPLE_LEN;
    uint64_t blocks = info->size / len, at;

    if (blocks == 0) { /* smaller than a sample: all of it */
        return (struct req){
            .op = REQ_READ, .flags = REQ_F_UNCACHED, .len = (uint32_t)info->size};
    }
    if (i == 0) {
        at = 0;
    } else if (i == 1) {
        at = blocks - 1;
    } else {
        at = (i * UINT64_C(0x9e3779b97f4a7c15) >> 16) % blocks;
    }
    return (struct req){
        .op = REQ_READ, .flags = REQ_F_UNCACHED, .off = at * len, .len = len};
}

static void
hash(const void *buf, size_t len, char *ret_hex)
{
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];

    sha256_init(&ctx);
    sha256_update(&ctx, len, buf);
    sha256_digest(&ctx, sizeof digest, digest);
    base16_encode_update(ret_hex, sizeof digest, digest);
    ret_hex[2 * sizeof digest] = '\0';
}

static pthread_once_t boot_id_once = PTHREAD_ONCE_INIT;
static char boot_id[37]; /* written once, then constant: we do not outlive the boot */

static void
read_boot_id(void)
{
    AUTO_FILE FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (f != NULL && fscanf(f, "%36s", boot_id) != 1) {
        boot_id[0] = '\0';
    }
}

void
identity_boot_id(char *buf)
{
#ifdef BATON_BREAKPOINTS /* two machines on one, for tests */
    const char *other = getenv("BATON_TEST_BOOT_ID");

    if (other != NULL) {
        (void)snprintf(buf, 37, "%s", other);
        return;
    }
#endif
    (void)pthread_once(&boot_id_once, read_boot_id); /* cannot fail */
    memcpy(buf, boot_id, sizeof boot_id);
}

int
identity_take(struct port *p, const struct port_info *disk, struct err *e,
              struct identity *ret_id)
{
    return identity_take_while(p, disk, NULL, NULL, e, ret_id);
}

/* NOLINTBEGIN(readability-function-size): as identity_take(), and whom to ask */
int
identity_take_while(struct port *p, const struct port_info *disk,
                    int (*check)(void *opaque, struct err *e), void *opaque,
                    struct err *e, struct identity *ret_id)
/* NOLINTEND(readability-function-size) */
{
    struct identity id = {.info = p->info, .device_size = port_size_now(p)};
    AUTO_FREE void *buf = malloc(65536);

    if (disk->size > p->info.size || disk->min_block < p->info.min_block) {
        return port_info_can_replace(disk, &p->info, e);
    }
    if (buf == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    (void)port_identify(p, id.device_id, sizeof id.device_id);
    for (unsigned i = 0; i < IDENTITY_SAMPLES && disk->size > 0; i++) {
        struct req rq = sample_at(disk, i);
        int rc = check != NULL ? check(opaque, e) : 0;

        if (rc < 0) {
            return rc;
        }
        rq.buf = buf;
        rq.deadline_ns = clock_deadline_ns(READ_NS);
        rc = port_submit(p, &rq);
        if (rc < 0) {
            return err_set(
                e, rc, "cannot read the block at %" PRIu64 " to compare devices: %s",
                rq.off, err_text(NULL, rc));
        }
        hash(buf, rq.len, id.samples[i]);
    }
    *ret_id = id;
    return 0;
}

/* "file:8:1:42@BOOT" and "file:8:1:43@BOOT" prove two devices; with two boot ids or
 * two kinds they prove nothing. */
bool
identity_proves_two(const char *a, const char *b)
{
    const char *colon = strchr(a, ':'), *scope_a = strchr(a, '@'),
               *scope_b = strchr(b, '@');

    if (colon == NULL || strncmp(a, b, (size_t)(colon - a) + 1) != 0) {
        return false;
    }
    if ((scope_a == NULL) != (scope_b == NULL) ||
        (scope_a != NULL && strcmp(scope_a, scope_b) != 0)) {
        return false;
    }
    return strcmp(a, b) != 0;
}

static uint64_t
size_of(const struct identity *id)
{
    return id->device_size != 0 ? id->device_size : id->info.size;
}

static int
compare_sizes(const struct identity *mine, const struct identity *theirs, struct err *e)
{
    if (size_of(mine) == size_of(theirs) ||
        (mine->device_id[0] != '\0' &&
         strcmp(mine->device_id, theirs->device_id) == 0)) {
        return 0;
    }
    return err_set(e, -EINVAL, "the size is %" PRIu64 " bytes, not %" PRIu64,
                   size_of(theirs), size_of(mine));
}

int
identity_compare(const struct identity *before, const struct identity *after,
                 const struct identity *theirs, struct err *e)
{
    int rc = port_info_can_replace(&before->info, &theirs->info, e);

    if (rc < 0) {
        return rc;
    }
    rc = compare_sizes(before, theirs, e);
    if (rc < 0) {
        return rc;
    }
    if (identity_proves_two(before->device_id, theirs->device_id)) {
        return err_set(e, -EINVAL, "it is another device: %s, not %s",
                       theirs->device_id, before->device_id);
    }
    for (unsigned i = 0; i < IDENTITY_SAMPLES; i++) {
        if (strcmp(before->samples[i], after->samples[i]) == 0 &&
            strcmp(before->samples[i], theirs->samples[i]) != 0) {
            return err_set(e, -EILSEQ,
                           "it is another device: the block at %" PRIu64
                           " has other contents",
                           sample_at(&before->info, i).off);
        }
    }
    return 0;
}

/* Only an id with a scope names an inode, and so a page cache: a serial number may be
 * that of two paths to one disk. */
bool
identity_shares_cache(const struct identity *mine, const struct identity *theirs)
{
    return strchr(mine->device_id, '@') != NULL &&
           strcmp(mine->device_id, theirs->device_id) == 0;
}

int
identity_compare_parked(const struct identity *parked, bool is_here,
                        const struct identity *theirs, struct err *e)
{
    struct identity mine = *parked;
    int rc;

    if (!is_here && strchr(mine.device_id, '@') != NULL) {
        mine.device_id[0] = '\0';
    }
    rc = identity_compare(&mine, &mine, theirs, e);
    return rc == -EILSEQ ? -EINVAL : rc; /* to look again would show the same */
}

json_t *
identity_info_to_json(const struct port_info *info)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "size", (json_int_t)info->size,
                     "min_block", (json_int_t)info->min_block, "pref_block",
                     (json_int_t)info->pref_block, "max_block",
                     (json_int_t)info->max_block, "caps", (json_int_t)info->caps);
}

int
identity_info_from_json(const json_t *j, struct err *e, struct port_info *ret_info)
{
    json_int_t size, min_block, pref_block, max_block, caps;

    if (json_unpack((json_t *)(uintptr_t)j, "{s:I,s:I,s:I,s:I,s:I}", "size", &size,
                    "min_block", &min_block, "pref_block", &pref_block, "max_block",
                    &max_block, "caps", &caps) != 0 ||
        size < 0 || min_block < 1 || min_block > 65536 ||
        (min_block & (min_block - 1)) != 0 || pref_block < min_block ||
        pref_block < 512 || pref_block > 32 * 1024 * 1024 ||
        (pref_block & (pref_block - 1)) != 0 || max_block < min_block ||
        max_block > UINT32_MAX ||
        (max_block != UINT32_MAX && max_block % min_block != 0) || caps < 0 ||
        caps > UINT32_MAX) {
        return err_set(e, -EBADMSG,
                       "malformed info: size and limits of a disk expected");
    }
    *ret_info = (struct port_info){.size = (uint64_t)size,
                                   .min_block = (uint32_t)min_block,
                                   .pref_block = (uint32_t)pref_block,
                                   .max_block = (uint32_t)max_block,
                                   .caps = (uint32_t)caps};
    return 0;
}

json_t *
identity_to_json(const struct identity *id)
{
    json_t *samples = json_array();

    for (unsigned i = 0; i < IDENTITY_SAMPLES; i++) {
        (void)json_array_append_new(samples, json_string(id->samples[i]));
    }
    return json_pack("{s:o,s:s,s:o,s:I}", "info", identity_info_to_json(&id->info),
                     "device_id", id->device_id, "samples", samples, "device_size",
                     (json_int_t)size_of(id));
}

int
identity_from_json(const json_t *j, struct err *e, struct identity *ret_id)
{
    struct identity id = {0};
    json_int_t device_size = 0;
    json_t *info, *samples;
    const char *device_id;
    int rc;

    if (json_unpack((json_t *)(uintptr_t)j, "{s:o,s:s,s:o,s?I}", "info", &info,
                    "device_id", &device_id, "samples", &samples, "device_size",
                    &device_size) != 0 ||
        device_size < 0 || strlen(device_id) >= sizeof id.device_id ||
        json_array_size(samples) != IDENTITY_SAMPLES) {
        return err_set(e, -EBADMSG, "malformed identity of a device");
    }
    rc = identity_info_from_json(info, e, &id.info);
    if (rc < 0) {
        return rc;
    }
    id.device_size = (uint64_t)device_size;
    (void)snprintf(id.device_id, sizeof id.device_id, "%s", device_id);
    for (unsigned i = 0; i < IDENTITY_SAMPLES; i++) {
        const char *hex = json_string_value(json_array_get(samples, i));

        if (hex == NULL || strlen(hex) >= IDENTITY_HASH_LEN) {
            return err_set(e, -EBADMSG, "malformed sample hash");
        }
        (void)snprintf(id.samples[i], IDENTITY_HASH_LEN, "%s", hex);
    }
    *ret_id = id;
    return 0;
}
