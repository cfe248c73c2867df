/* SPDX-License-Identifier: BSD-3-Clause */
/* liar_plugin.c - an nbdkit plugin that breaks one promise, now and then, so that the
 * checkers can be seen to notice. lie=none keeps them all. All methods are serialised.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS
#define DISK_SIZE (16u << 20)
#define MAX_WRITE (1u << 20)

enum lie {
    LIE_NONE,
    LIE_LOSE,  /* a write is acknowledged and dropped */
    LIE_STALE, /* a read returns what was there before the last write */
    LIE_LATE,  /* a write is done again after later ones: the ghost */
    LIE_TEAR,  /* a write stops in the middle of a sector */
    LIE_SHIFT, /* a write goes one sector too far */
    LIE_TRIM,  /* a write is followed by a trim of its sectors */
    NR_LIES,
};

static const char *const lie_names[NR_LIES] = {"none", "lose",  "stale", "late",
                                               "tear", "shift", "trim"};

static enum lie lie;
static unsigned every = 1000; /* the n-th request lies */
static unsigned nr_requests;
static unsigned char *disk, *before; /* before: without the last write of each place */
static struct late {
    unsigned char *data;
    uint32_t count;
    uint64_t offset;
    bool is_waiting;
    unsigned when; /* writes until it lands; 0: nothing of it was overwritten yet */
} late;

static void
liar_unload(void)
{
    free(disk);
    free(before);
    free(late.data);
}

static int
liar_config(const char *key, const char *value)
{
    if (strcmp(key, "every") == 0) {
        return nbdkit_parse_unsigned("every", value, &every);
    }
    for (unsigned i = 0; strcmp(key, "lie") == 0 && i < NR_LIES; i++) {
        if (strcmp(value, lie_names[i]) == 0) {
            lie = (enum lie)i;
            return 0;
        }
    }
    nbdkit_error("unknown parameter %s=%s", key, value);
    return -1;
}

static int
liar_get_ready(void)
{
    disk = calloc(1, DISK_SIZE);
    before = calloc(1, DISK_SIZE);
    late.data = malloc(MAX_WRITE);
    return disk == NULL || before == NULL || late.data == NULL ? -1 : 0;
}

static void *
liar_open(int readonly)
{
    (void)readonly; /* the front end refuses writes then */
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t
liar_get_size(void *handle)
{
    (void)handle;
    return DISK_SIZE;
}

static int
liar_can_multi_conn(void *handle)
{
    (void)handle;
    return 1;
}

/* Is it this request's turn to lie in this way? */
static bool
lies(enum lie way)
{
    return lie == way && ++nr_requests % every == 0;
}

static int
liar_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    memcpy(buf, (lies(LIE_STALE) ? before : disk) + offset, count);
    return 0;
}

static void
store(const void *data, uint32_t count, uint64_t offset)
{
    memcpy(before + offset, disk + offset, count);
    memcpy(disk + offset, data, count);
}

/* A late write waits for one that overwrites something of it, so that it does harm, and
 * for ten more, so that the other was acknowledged meanwhile. */
static void
maybe_late(const void *buf, uint32_t count, uint64_t offset)
{
    if (late.when > 0 && --late.when == 0) {
        store(late.data, late.count, late.offset);
        late.is_waiting = false;
    }
    if (late.is_waiting && late.when == 0 && offset < late.offset + late.count &&
        late.offset < offset + count) {
        late.when = 10;
    }
    if (!late.is_waiting && count <= MAX_WRITE && lies(LIE_LATE)) {
        memcpy(late.data, buf, count);
        late.count = count;
        late.offset = offset;
        late.is_waiting = true;
    }
}

static int
liar_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
            uint32_t flags)
{
    (void)handle;
    (void)flags;
    maybe_late(buf, count, offset);
    if (lies(LIE_LOSE)) {
        return 0;
    }
    if (lies(LIE_TEAR)) {
        count -= 200;
    }
    if (lies(LIE_SHIFT) && offset + count + 512 <= DISK_SIZE) {
        offset += 512;
    }
    store(buf, count, offset);
    if (lies(LIE_TRIM)) {
        memset(disk + offset, 0, count);
    }
    return 0;
}

static int
liar_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    memcpy(before + offset, disk + offset, count);
    memset(disk + offset, 0, count);
    return 0;
}

static int
liar_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return liar_trim(handle, count, offset, flags);
}

static int
liar_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "liar",
    .version = BATON_VERSION,
    .longname = "a server that breaks a promise",
    .unload = liar_unload,
    .config = liar_config,
    .config_help = "lie=none|lose|stale|late|tear|shift|trim\nevery=N",
    .get_ready = liar_get_ready,
    .open = liar_open,
    .get_size = liar_get_size,
    .can_multi_conn = liar_can_multi_conn,
    .pread = liar_pread,
    .pwrite = liar_pwrite,
    .trim = liar_trim,
    .zero = liar_zero,
    .flush = liar_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
