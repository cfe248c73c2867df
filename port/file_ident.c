/* SPDX-License-Identifier: BSD-3-Clause */
/* Two different texts of one kind prove two devices, so a kind is used only where that
 * is true: an inode number of a network or user-space file system may have two device
 * numbers on one host (two mounts of one export), and says nothing. */
#include "file_ident.h"

#include <ctype.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file_io.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* 0 when it does not fit: half an identity is none. */
static int __attribute__((format(printf, 3, 4)))
put(char *id, int id_size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(id, (size_t)id_size, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= id_size) {
        id[0] = '\0';
        return 0;
    }
    return n;
}

static bool
is_one_device_per_inode(int fd)
{
    static const unsigned long foreign[] = {
        NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC,
        SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC, V9FS_MAGIC,
        FUSE_SUPER_MAGIC, AFS_SUPER_MAGIC,  CODA_SUPER_MAGIC};
    struct statfs sf;

    if (fstatfs(fd, &sf) < 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if ((unsigned long)sf.f_type == foreign[i]) {
            return false;
        }
    }
    return true;
}

static int
file_id(int fd, const struct stat *st, char *id, int id_size)
{
    char boot[64];

    if (!is_one_device_per_inode(fd) ||
        file_io_read_line(BOOT_ID, boot, sizeof boot) == 0) {
        return 0;
    }
    return put(id, id_size, "file:%u:%u:%llu@%s", major(st->st_dev), minor(st->st_dev),
               (unsigned long long)st->st_ino, boot);
}

static void
make_printable(char *s)
{
    for (; *s != '\0'; s++) {
        if (!isgraph((unsigned char)*s)) {
            *s = '_';
        }
    }
}

/* WWN first: a serial number may be that of a controller with several devices. */
static int
hardware_id(const char *disk, const char *partition, char *id, int id_size)
{
    static const char *const sources[][2] = {{"wwn", "wwid"},
                                             {"wwn", "device/wwid"},
                                             {"serial", "serial"},
                                             {"serial", "device/serial"}};
    char name[192], text[160];

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", disk, sources[i][1]);
        if (file_io_read_line(name, text, sizeof text) > 0) {
            make_printable(text);
            return put(id, id_size, "%s:%s%s%s", sources[i][0], text,
                       partition[0] != '\0' ? "/" : "", partition);
        }
    }
    return 0;
}

static int
block_id(const struct stat *st, char *id, int id_size)
{
    unsigned maj = major(st->st_rdev), min = minor(st->st_rdev);
    char disk[128], name[160], partition[16], boot[64];
    int n;

    (void)snprintf(disk, sizeof disk, "/sys/dev/block/%u:%u", maj, min);
    (void)snprintf(name, sizeof name, "%s/partition", disk);
    if (file_io_read_line(name, partition, sizeof partition) > 0) {
        (void)snprintf(disk, sizeof disk, "/sys/dev/block/%u:%u/..", maj, min);
    }
    n = hardware_id(disk, partition, id, id_size);
    if (n > 0 || file_io_read_line(BOOT_ID, boot, sizeof boot) == 0) {
        return n;
    }
    return put(id, id_size, "bdev:%u:%u@%s", maj, min, boot);
}

int
file_ident_of(int fd, char *id, int id_size)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return 0;
    }
    return S_ISBLK(st.st_mode) ? block_id(&st, id, id_size)
                               : file_id(fd, &st, id, id_size);
}

bool
file_ident_is_rotational(int fd)
{
    static const char *const places[] = {"queue", "../queue"}; /* disk, partition */
    char name[128], line[8];
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(name, sizeof name, "/sys/dev/block/%u:%u/%s/rotational",
                       major(st.st_rdev), minor(st.st_rdev), places[i]);
        if (file_io_read_line(name, line, sizeof line) > 0) {
            return line[0] == '1';
        }
    }
    return false;
}
