/* SPDX-License-Identifier: BSD-3-Clause */
/* libblkid reads a file descriptor, a port is none. So the parts of the device where
 * tables lie are copied to a sparse file in memory of the device's size, and that is
 * probed: the first and the last MiB (every table, and GPT's backup), and, wherever
 * they are, the sectors of the chain of logical MBR partitions. Not seen are tables
 * inside partitions (BSD labels further in) and GPT entries that were moved out of
 * the first MiB.
 *
 * The sector size is not known either: a port tells the granularity of its requests,
 * and a 4096-byte disk copied to a file has a table in 4096-byte units. So both are
 * tried; a table of one is not valid in the other (MBR has a protective entry when a
 * GPT follows, which libblkid does not take for a table). */
#include "partition.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include <blkid/blkid.h>

#include "bytes.h"

#define EDGE (1U << 20) /* copied at both ends */
#define CHUNK 65536U    /* the largest min_block, so an aligned unit of every port */
#define MAX_LOGICAL 128 /* partitions in a chain; also ends a chain that loops */
#define BLKID_UNIT UINT64_C(512) /* of starts and sizes, whatever the sector size */

struct image {
    struct port *p;
    int fd;
    void *buf; /* EDGE bytes, page-aligned for the sake of O_DIRECT */
};

/* Copy the device's bytes from off, a multiple of CHUNK, to the image. What the port
 * cannot address (a tail shorter than min_block) stays zero. */
static int
copy(struct image *img, uint64_t off, uint32_t len, struct err *e)
{
    uint64_t end = img->p->info.size & ~(uint64_t)(img->p->info.min_block - 1);
    struct req rq = {.op = REQ_READ, .off = off, .buf = img->buf};
    int rc;

    if (off >= end) {
        return 0;
    }
    rq.len = end - off < len ? (uint32_t)(end - off) : len;
    rc = port_submit(img->p, &rq);
    if (rc < 0) {
        return err_set(e, rc, "cannot read the partition table at %" PRIu64 ": %s", off,
                       err_text(NULL, rc));
    }
    if (pwrite(img->fd, img->buf, rq.len, (off_t)off) != (ssize_t)rq.len) {
        return err_set(e, -ENOMEM, "no memory for the partition table");
    }
    return 0;
}

static int
copy_edges(struct image *img, struct err *e)
{
    uint64_t size = img->p->info.size;
    int rc = copy(img, 0, EDGE, e);

    if (rc == 0 && size > EDGE) {
        uint64_t last = (size - EDGE) & ~(uint64_t)(CHUNK - 1);

        rc = copy(img, last, EDGE, e);
        if (rc == 0) {
            rc = copy(img, last + EDGE, CHUNK, e); /* what the alignment left over */
        }
    }
    return rc;
}

/* Read the boot record at off of the image; the first sector of its first extended
 * partition, or 0 when it has none. */
static uint32_t
extended_in(const struct image *img, uint64_t off)
{
    unsigned char sector[512];
    int i;

    if (pread(img->fd, sector, sizeof sector, (off_t)off) != (ssize_t)sizeof sector ||
        sector[510] != 0x55 || sector[511] != 0xaa) {
        return 0;
    }
    for (i = 0; i < 4; i++) {
        const unsigned char *entry = sector + 446 + 16 * i;

        if (entry[4] == 0x05 || entry[4] == 0x0f || entry[4] == 0x85) {
            return bytes_get_le32(entry + 8);
        }
    }
    return 0;
}

/* Logical partitions are a list: each record names the next, counted from the start of
 * the extended partition. */
static int
copy_logical_chain(struct image *img, unsigned sector_size, struct err *e)
{
    uint64_t first = extended_in(img, 0), here = first, next;
    int i, rc;

    for (i = 0; here != 0 && i < MAX_LOGICAL; i++) {
        if (here > img->p->info.size / sector_size) {
            return 0;
        }
        here *= sector_size;
        rc = copy(img, here & ~(uint64_t)(CHUNK - 1), CHUNK, e);
        if (rc < 0) {
            return rc;
        }
        next = extended_in(img, here);
        here = next != 0 ? first + next : 0;
    }
    return 0;
}

static int
image_open(struct image *img, struct err *e)
{
    int rc;

    img->fd = memfd_create("baton-partition-table", MFD_CLOEXEC);
    if (img->fd < 0) {
        return err_set(e, -errno, "no memory for the partition table: %s",
                       err_text(NULL, -errno));
    }
    if (ftruncate(img->fd, (off_t)img->p->info.size) < 0) {
        return err_set(e, -errno,
                       "cannot make an image of %" PRIu64
                       " bytes for the partition table: %s",
                       img->p->info.size, err_text(NULL, -errno));
    }
    rc = posix_memalign(&img->buf, 4096, EDGE);
    if (rc != 0) {
        return err_set(e, -rc, "out of memory");
    }
    return copy_edges(img, e);
}

static void
image_done(struct image *img)
{
    free(img->buf);
    if (img->fd >= 0) {
        (void)close(img->fd); /* memory only */
    }
}

/* Labels come from the guest's disk and go to logs and terminals. */
static void
printable(const char *s, char *buf, size_t size)
{
    size_t i;

    for (i = 0; i + 1 < size && s[i] != '\0'; i++) {
        buf[i] = isprint((unsigned char)s[i]) ? s[i] : '?';
    }
    buf[i] = '\0';
}

/* "1 (root, 6f0e...), 2 (5d1c...)", cut when there are too many. */
static void
list_partitions(blkid_partlist list, char *buf, size_t size)
{
    int i, n = blkid_partlist_numof_partitions(list);
    size_t used = 0;

    (void)snprintf(buf, size, "none");
    for (i = 0; i < n && used < size; i++) {
        blkid_partition part = blkid_partlist_get_partition(list, i);
        const char *label = blkid_partition_get_name(part);
        const char *uuid = blkid_partition_get_uuid(part);
        char text[80];

        printable(label != NULL ? label : "", text, sizeof text);
        used += (size_t)snprintf(buf + used, size - used, "%s%d (%s%s%s)",
                                 i > 0 ? ", " : "", blkid_partition_get_partno(part),
                                 text, text[0] != '\0' ? ", " : "",
                                 uuid != NULL ? uuid : "no uuid");
    }
}

static bool
is_wanted(const struct partition_want *want, blkid_partition part)
{
    const char *label = blkid_partition_get_name(part);
    const char *uuid = blkid_partition_get_uuid(part);

    if (want->label != NULL) {
        return label != NULL && strcmp(label, want->label) == 0;
    }
    if (want->uuid != NULL) {
        return uuid != NULL && strcasecmp(uuid, want->uuid) == 0;
    }
    return blkid_partition_get_partno(part) == (int)want->number;
}

static int
no_such(const struct partition_want *want, const char *problem, const char *there,
        struct err *e)
{
    if (want->label != NULL) {
        return err_set(e, -ENOENT, "%s label=%s; there are: %s", problem, want->label,
                       there);
    }
    if (want->uuid != NULL) {
        return err_set(e, -ENOENT, "%s partuuid=%s; there are: %s", problem, want->uuid,
                       there);
    }
    return err_set(e, -ENOENT, "%s partition=%u; there are: %s", problem, want->number,
                   there);
}

static int
place(const struct port *p, blkid_partition part, struct err *e, uint64_t *ret_off,
      uint64_t *ret_size)
{
    uint64_t start = (uint64_t)blkid_partition_get_start(part);
    uint64_t size = (uint64_t)blkid_partition_get_size(part);
    uint64_t sectors = p->info.size / BLKID_UNIT;

    if (start > sectors || size > sectors - start) {
        return err_set(e, -EINVAL,
                       "partition %d ends at sector %" PRIu64 ", past the end of the "
                       "device at sector %" PRIu64,
                       blkid_partition_get_partno(part), start + size, sectors);
    }
    *ret_off = start * BLKID_UNIT;
    *ret_size = size * BLKID_UNIT;
    return 0;
}

static int
select_partition(const struct port *p, blkid_partlist list,
                 const struct partition_want *want, struct err *e, uint64_t *ret_off,
                 uint64_t *ret_size)
{
    blkid_partition found = NULL;
    int i, n = blkid_partlist_numof_partitions(list);
    char there[768];

    list_partitions(list, there, sizeof there);
    for (i = 0; i < n; i++) {
        blkid_partition part = blkid_partlist_get_partition(list, i);

        if (!is_wanted(want, part)) {
            continue;
        }
        if (found != NULL) {
            return no_such(want, "more than one partition has", there, e);
        }
        found = part;
    }
    if (found == NULL) {
        return no_such(want, "no partition has", there, e);
    }
    if (blkid_partition_is_extended(found)) {
        return no_such(want, "only a container of other partitions has", there, e);
    }
    return place(p, found, e, ret_off, ret_size);
}

/* 1: a table was found and *ret_list lives as long as the probe; 0: none. */
static int
probe_table(blkid_probe probe, struct image *img, unsigned sector_size, struct err *e,
            blkid_partlist *ret_list)
{
    blkid_partlist list;
    int rc = copy_logical_chain(img, sector_size, e);

    if (rc < 0) {
        return rc;
    }
    if (blkid_probe_set_device(probe, img->fd, 0, 0) != 0 ||
        blkid_probe_set_sectorsize(probe, sector_size) != 0 ||
        blkid_probe_enable_superblocks(probe, 0) != 0 ||
        blkid_probe_enable_partitions(probe, 1) != 0) {
        return err_set(e, -EIO, "libblkid cannot probe the device");
    }
    list = blkid_probe_get_partitions(probe);
    if (list == NULL || blkid_partlist_numof_partitions(list) == 0) {
        return 0;
    }
    *ret_list = list;
    return 1;
}

static int
find_in_image(struct image *img, const struct partition_want *want, struct err *e,
              uint64_t *ret_off, uint64_t *ret_size)
{
    bool is_4k = img->p->info.min_block == 4096;
    const unsigned sizes[] = {is_4k ? 4096 : 512, is_4k ? 512 : 4096};
    blkid_probe probe = blkid_new_probe();
    blkid_partlist list = NULL;
    int i, rc = 0;

    if (probe == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (i = 0; rc == 0 && i < 2; i++) {
        rc = probe_table(probe, img, sizes[i], e, &list);
    }
    if (list != NULL) {
        rc = select_partition(img->p, list, want, e, ret_off, ret_size);
    } else if (rc == 0) {
        rc = err_set(e, -ENOENT, "the device has no partition table, or an empty one");
    }
    blkid_free_probe(probe);
    return rc;
}

int
partition_find(struct port *p, const struct partition_want *want, struct err *e,
               uint64_t *ret_off, uint64_t *ret_size)
{
    struct image img = {.p = p, .fd = -1};
    int rc;

    assert((want->number > 0) + (want->label != NULL) + (want->uuid != NULL) == 1);
    rc = image_open(&img, e);
    if (rc == 0) {
        rc = find_in_image(&img, want, e, ret_off, ret_size);
    }
    image_done(&img);
    return rc;
}
