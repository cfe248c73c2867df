/* SPDX-License-Identifier: BSD-3-Clause */
#include "record_store.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "record_json.h"

static int
system_create(struct record_io *io, int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    0600);

    (void)io;
    return fd < 0 ? -errno : fd;
}

static ssize_t
system_write(struct record_io *io, int fd, const char *buf, size_t len)
{
    ssize_t n = write(fd, buf, len);

    (void)io;
    return n < 0 ? -errno : n;
}

static int
system_fsync(struct record_io *io, int fd)
{
    (void)io;
    return fsync(fd) < 0 ? -errno : 0;
}

static int
system_rename(struct record_io *io, int dir_fd, const char *from, const char *to)
{
    (void)io;
    return renameat(dir_fd, from, dir_fd, to) < 0 ? -errno : 0;
}

static int
system_unlink(struct record_io *io, int dir_fd, const char *name)
{
    (void)io;
    return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

static uint64_t
system_wall_s(struct record_io *io)
{
    time_t now = time(NULL);

    (void)io;
    return now > 0 ? (uint64_t)now : 0;
}

struct record_io record_io_system = {
    .create = system_create,
    .write = system_write,
    .fsync = system_fsync,
    .rename = system_rename,
    .unlink = system_unlink,
    .wall_s = system_wall_s,
};

static int
read_all(int fd, char *buf, size_t size, size_t *ret_len)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, buf + len, size - len);

        if (n == 0) {
            break;
        }
        if (n > 0) {
            len += (size_t)n;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    *ret_len = len;
    return 0;
}

int
record_store_read(int dir_fd, const char *name, struct err *e, char **ret_text,
                  size_t *ret_len)
{
    /* O_NONBLOCK: a pipe of that name must not make us wait. */
    AUTO_FD int fd =
        openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    AUTO_FREE char *text = NULL;
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = -errno;
        return err_set(e, rc, "%s", err_text(NULL, rc));
    }
    if (!S_ISREG(st.st_mode) || st.st_size > RECORD_FILE_MAX) {
        return err_set(e, -EBADMSG, "it is not a file of Baton");
    }
    text = malloc((size_t)st.st_size + 1);
    if (text == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = read_all(fd, text, (size_t)st.st_size, ret_len);
    if (rc < 0) {
        return err_set(e, rc, "cannot be read: %s", err_text(NULL, rc));
    }
    *ret_text = TAKE(text);
    return 0;
}

static int
write_all(struct record_io *io, int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = io->write(io, fd, text, len);

        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else if (n != -EINTR) {
            return n == 0 ? -EIO : (int)n;
        }
    }
    return io->fsync(io, fd);
}

int
record_store_write_tmp(struct record_io *io, int dir_fd, const char *tmp,
                       const char *text, struct err *e)
{
    int fd = io->create(io, dir_fd, tmp), rc = fd;

    if (fd >= 0) {
        rc = write_all(io, fd, text);
        if (close(fd) < 0 && rc == 0) {
            rc = -errno; /* where a file system reports lost space only now */
        }
    }
    if (rc == 0) {
        rc = BREAKPOINT("record-written");
    }
    if (rc < 0) {
        (void)io->unlink(io, dir_fd, tmp); /* the next open removes it, too */
        return err_set(e, rc, "cannot be written: %s", err_text(NULL, rc));
    }
    return 0;
}

int
record_store_rename_tmp(struct record_io *io, int dir_fd, const char *tmp,
                        const char *name, struct err *e, bool *ret_is_renamed)
{
    int rc = io->rename(io, dir_fd, tmp, name);

    *ret_is_renamed = rc == 0;
    if (rc < 0) {
        (void)io->unlink(io, dir_fd, tmp); /* as above */
        return err_set(e, rc, "cannot be written: %s", err_text(NULL, rc));
    }
    rc = BREAKPOINT("record-renamed") < 0 ? -EIO : io->fsync(io, dir_fd);
    if (rc < 0) {
        return err_set(e, rc, "written, but a power cut may take it back: %s",
                       err_text(NULL, rc));
    }
    return 0;
}

static int
write_beside(struct record_io *io, int dir_fd, const char *name, const char *text,
             struct err *e, char tmp[NAME_MAX + 1])
{
    int len = snprintf(tmp, NAME_MAX + 1, RECORD_STORE_TMP "%s", name);

    assert(len > 0 && len <= NAME_MAX);
    return record_store_write_tmp(io, dir_fd, tmp, text, e);
}

int
record_store_put(struct record_io *io, int dir_fd, const char *name, const char *text,
                 struct err *e)
{
    char tmp[NAME_MAX + 1];
    int rc = write_beside(io, dir_fd, name, text, e, tmp);

    if (rc < 0) {
        return rc;
    }
    rc = io->rename(io, dir_fd, tmp, name);
    if (rc < 0) {
        (void)io->unlink(io, dir_fd, tmp); /* as above */
        return err_set(e, rc, "cannot be written: %s", err_text(NULL, rc));
    }
    return 0;
}

int
record_store_replace(struct record_io *io, int dir_fd, const char *name,
                     const char *text, struct err *e, bool *ret_is_renamed)
{
    char tmp[NAME_MAX + 1];
    int rc = write_beside(io, dir_fd, name, text, e, tmp);

    *ret_is_renamed = false;
    return rc < 0 ? rc
                  : record_store_rename_tmp(io, dir_fd, tmp, name, e, ret_is_renamed);
}

/* Its own position in the folder: an fd's is shared with its copies. */
static DIR *
open_folder(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d == NULL && fd >= 0) {
        int saved = errno;

        (void)close(fd); /* only read */
        errno = saved;
    }
    return d;
}

int
record_store_clean(struct record_io *io, int dir_fd, struct err *e)
{
    DIR *d = open_folder(dir_fd);
    struct dirent *entry;
    int rc = 0;

    if (d == NULL) {
        rc = -errno;
        return err_set(e, rc, "cannot list the folder: %s", err_text(NULL, rc));
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
    while (rc == 0 && (errno = 0, entry = readdir(d)) != NULL) {
        if (strncmp(entry->d_name, RECORD_STORE_TMP, strlen(RECORD_STORE_TMP)) == 0) {
            rc = io->unlink(io, dir_fd, entry->d_name);
        }
    }
    if (rc == 0 && errno != 0) {
        rc = -errno;
    }
    (void)closedir(d); /* only read */
    return rc < 0
               ? err_set(e, rc, "cannot remove temporary files: %s", err_text(NULL, rc))
               : 0;
}

bool
record_store_is_unwritable(int rc)
{
    return rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS;
}

int
record_store_has(int dir_fd, const char *suffix)
{
    DIR *d = open_folder(dir_fd);
    size_t suffix_len = strlen(suffix);
    struct dirent *entry;
    int found = 0;

    if (d == NULL) {
        return -errno;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
    while (found == 0 && (errno = 0, entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name);

        found =
            len >= suffix_len && strcmp(entry->d_name + len - suffix_len, suffix) == 0;
    }
    if (found == 0 && errno != 0) {
        found = -errno;
    }
    (void)closedir(d); /* only read */
    return found;
}
