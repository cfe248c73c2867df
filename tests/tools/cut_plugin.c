/* SPDX-License-Identifier: BSD-3-Clause */
/* cut_plugin.c - an nbdkit plugin: a disk with a volatile cache. A write goes to
 * memory; FLUSH and FUA move it to the file that is the medium. SIGKILL is the power
 * cut: the file has what was flushed, and nothing else that was promised. As a real
 * cache does it also writes back some sectors on its own, in no order, so that a cut
 * finds any mixture.
 *
 * medium=FILE: its size is the disk's. writeback=N: percent of the writes that are
 * followed by such a sector (10). lose=FILE: when it is there, the next FLUSH or FUA
 * removes it, loses all that is in the cache, and fails with ENOSPC, once: a thin
 * device whose pool is full. All methods are serialised. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS
#define SECTOR 512u

static char *medium;
static char *lose;
static unsigned writeback = 10;
static bool flushes = true;
static int fd = -1;
static uint64_t size;
static unsigned char *cache; /* all of the disk, as it is to be read */
static bool *is_dirty;       /* by sector */
static uint64_t next_dirty;  /* where to look for one to write back */

static void
cut_unload(void)
{
    free(medium);
    free(lose);
    free(cache);
    free(is_dirty);
    if (fd >= 0) {
        (void)close(fd); /* the cache is lost, as at any other end */
    }
}

static int
cut_config(const char *key, const char *value)
{
    if (strcmp(key, "medium") == 0) {
        free(medium);
        medium = nbdkit_realpath(value);
        return medium == NULL ? -1 : 0;
    }
    if (strcmp(key, "lose") == 0) {
        free(lose);
        lose = nbdkit_absolute_path(value);
        return lose == NULL ? -1 : 0;
    }
    if (strcmp(key, "writeback") == 0) {
        return nbdkit_parse_unsigned(key, value, &writeback);
    }
    if (strcmp(key, "flush") == 0) {
        flushes = nbdkit_parse_bool(value) != 0; /* an error is as good as on */
        return 0;
    }
    nbdkit_error("unknown parameter %s=%s", key, value);
    return -1;
}

static int
cut_get_ready(void)
{
    struct stat st;
    uint64_t have = 0;

    fd = medium == NULL ? -1 : open(medium, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        nbdkit_error("medium: %m");
        return -1;
    }
    size = (uint64_t)st.st_size / SECTOR * SECTOR;
    cache = malloc(size);
    is_dirty = calloc(size / SECTOR, sizeof *is_dirty);
    while (cache != NULL && have < size) {
        ssize_t n = pread(fd, cache + have, size - have, (off_t)have);

        if (n <= 0) {
            nbdkit_error("medium: %m");
            return -1;
        }
        have += (uint64_t)n;
    }
    return cache == NULL || is_dirty == NULL ? -1 : 0;
}

static void *
cut_open(int readonly)
{
    (void)readonly; /* the front end refuses writes then */
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t
cut_get_size(void *handle)
{
    (void)handle;
    return (int64_t)size;
}

/* One cache for all connections: a flush of any covers all. */
static int
cut_can_multi_conn(void *handle)
{
    (void)handle;
    return 1;
}

static int
cut_can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static int
cut_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    memcpy(buf, cache + offset, count);
    return 0;
}

/* Sectors first..end to the medium. A sector is never torn: one pwrite(2). */
static int
clean(uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        if (!is_dirty[i]) {
            continue;
        }
        if (pwrite(fd, cache + i * SECTOR, SECTOR, (off_t)(i * SECTOR)) != SECTOR) {
            nbdkit_set_error(EIO);
            return -1;
        }
        is_dirty[i] = false;
    }
    return 0;
}

/* Is everything lost now, and this the one who is told? */
static bool
loses(void)
{
    if (lose == NULL || unlink(lose) < 0) {
        return false;
    }
    for (uint64_t i = 0; i < size / SECTOR; i++) {
        if (is_dirty[i] &&
            pread(fd, cache + i * SECTOR, SECTOR, (off_t)(i * SECTOR)) != SECTOR) {
            nbdkit_error("medium: %m");
        }
        is_dirty[i] = false;
    }
    nbdkit_set_error(ENOSPC);
    return true;
}

static int
write_back_one(void)
{
    for (uint64_t i = 0; i < size / SECTOR; i++) {
        next_dirty = (next_dirty + 7919) % (size / SECTOR); /* a prime: gets round */
        if (is_dirty[next_dirty]) {
            return clean(next_dirty, next_dirty + 1);
        }
    }
    return 0;
}

/* buf NULL: zeroes. */
static int
change(const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    static unsigned nr_writes;
    uint64_t first = offset / SECTOR, end = (offset + count + SECTOR - 1) / SECTOR;

    if (buf == NULL) {
        memset(cache + offset, 0, count);
    } else {
        memcpy(cache + offset, buf, count);
    }
    memset(is_dirty + first, true, end - first);
    if (flushes && (flags & NBDKIT_FLAG_FUA) != 0) {
        return loses() ? -1 : clean(first, end);
    }
    return nr_writes++ % 100 < writeback ? write_back_one() : 0;
}

static int
cut_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
           uint32_t flags)
{
    (void)handle;
    return change(buf, count, offset, flags);
}

static int
cut_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    return change(NULL, count, offset, flags);
}

static int
cut_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    if (loses()) {
        return -1;
    }
    return flushes ? clean(0, size / SECTOR) : 0;
}

static struct nbdkit_plugin plugin = {
    .name = "cut",
    .version = BATON_VERSION,
    .longname = "a disk with a volatile cache",
    .unload = cut_unload,
    .config = cut_config,
    .config_help = "medium=FILE\nwriteback=PERCENT\nflush=on|off\nlose=FILE",
    .get_ready = cut_get_ready,
    .open = cut_open,
    .get_size = cut_get_size,
    .can_multi_conn = cut_can_multi_conn,
    .can_fua = cut_can_fua,
    .pread = cut_pread,
    .pwrite = cut_pwrite,
    .trim = cut_zero,
    .zero = cut_zero,
    .flush = cut_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
