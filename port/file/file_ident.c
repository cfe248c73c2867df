/* SPDX-License-Identifier: BSD-3-Clause */
/* Two different texts of one kind prove two devices, so a kind is used only where that
 * is true: an inode number of a network or user-space file system may have two device
 * numbers on one host (two mounts of one export), and says nothing. */
#include "file_ident.h"

#include <ctype.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* The names of the disk that st is, or is a partition of. */
static void
find_sysfs(const struct stat *st, char disk[128], char partition[16])
{
    unsigned maj = major(st->st_rdev), min = minor(st->st_rdev);
    char name[160];

    (void)snprintf(disk, 128, "/sys/dev/block/%u:%u", maj, min);
    (void)snprintf(name, sizeof name, "%s/partition", disk);
    if (file_io_read_line(name, partition, 16) > 0) {
        (void)snprintf(disk, 128, "/sys/dev/block/%u:%u/..", maj, min);
    }
}

static int
block_id(const struct stat *st, char *id, int id_size)
{
    char disk[128], partition[16], boot[64];
    int n;

    find_sysfs(st, disk, partition);
    n = hardware_id(disk, partition, id, id_size);
    if (n > 0 || file_io_read_line(BOOT_ID, boot, sizeof boot) == 0) {
        return n;
    }
    return put(id, id_size, "bdev:%u:%u@%s", major(st->st_rdev), minor(st->st_rdev),
               boot);
}

/* A logical volume, a path of multipath: device-mapper's own name. */
static int
mapper_id(const char *disk, const char *partition, char *id, int id_size)
{
    char name[160], text[160];

    (void)snprintf(name, sizeof name, "%s/dm/uuid", disk);
    if (file_io_read_line(name, text, sizeof text) == 0) {
        return 0;
    }
    make_printable(text);
    return put(id, id_size, "dm:%s%s%s", text, partition[0] != '\0' ? "/" : "",
               partition);
}

/* File systems whose inode numbers are on the disk. What statfs() calls the file system
 * is made of its UUID in some (ext4, btrfs: of the subvolume's), and of the number of
 * its device, which changes, in others: there the inode has to do. */
static bool
has_lasting_inodes(int fd, uint64_t *ret_fs)
{
    static const struct {
        unsigned long magic;
        bool has_fsid;
    } known[] = {{EXT4_SUPER_MAGIC, true}, {BTRFS_SUPER_MAGIC, true},
                 {XFS_SUPER_MAGIC, false}, {F2FS_SUPER_MAGIC, false},
                 {TMPFS_MAGIC, false},     {NFS_SUPER_MAGIC, false}};
    struct statfs sf;
    unsigned half[2];

    if (fstatfs(fd, &sf) < 0) {
        return false;
    }
    memcpy(half, &sf.f_fsid, sizeof half);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((unsigned long)sf.f_type == known[i].magic) {
            *ret_fs =
                known[i].has_fsid ? ((uint64_t)half[0] << 32) | half[1] : UINT64_C(0);
            return true;
        }
    }
    return false;
}

/* With its generation, which tells a file from a later one of the same number. */
static int
inode_id(int fd, const struct stat *st, char *id, int id_size)
{
    int generation[2] = {0, 0}; /* some file systems fill a long */
    uint64_t fs;

    if (!has_lasting_inodes(fd, &fs)) {
        return 0;
    }
    if (ioctl(fd, FS_IOC_GETVERSION, generation) < 0) {
        generation[0] = 0; /* NFS, tmpfs: the number alone */
    }
    return put(id, id_size, "inode:%llx:%llu:%x", (unsigned long long)fs,
               (unsigned long long)st->st_ino, (unsigned)generation[0]);
}

int
file_ident_lasting(int fd, char *id, int id_size)
{
    char disk[128], partition[16];
    struct stat st;
    int n;

    if (fstat(fd, &st) < 0) {
        return 0;
    }
    if (!S_ISBLK(st.st_mode)) {
        return inode_id(fd, &st, id, id_size);
    }
    find_sysfs(&st, disk, partition);
    n = hardware_id(disk, partition, id, id_size);
    return n > 0 ? n : mapper_id(disk, partition, id, id_size);
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
