/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/types.h>

#include "file_holder.h"

#define USES_BASE 100 /* + permission: it is used */
#define BARS_BASE 200 /* + permission: others may not use it */
#define NR_BYTES 10   /* more than there are permissions, of old QEMUs as well */

/* Permissions, numbered as QEMU numbers them. */
#define CONSISTENT_READ (1U << 0)
#define WRITE (1U << 1)
#define WRITE_UNCHANGED (1U << 2)
#define RESIZE (1U << 3)
#define NR_PERMS 4

struct claim {
    unsigned uses; /* permissions */
    unsigned bars;
};

static const struct claim claims[] = {
    [FILE_LOCK_WRITER] = {.uses = CONSISTENT_READ | WRITE | RESIZE,
                          .bars = WRITE | WRITE_UNCHANGED | RESIZE},
    [FILE_LOCK_READER] = {.uses = CONSISTENT_READ, .bars = WRITE | RESIZE},
    [FILE_LOCK_SHARER] = {.uses = CONSISTENT_READ, .bars = 0},
};

static int
set_lock(int fd, short type, off_t byte, off_t len)
{
    struct flock fl = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = len};

    while (fcntl(fd, F_OFD_SETLK, &fl) < 0) {
        if (errno != EINTR) {
            return errno == EACCES ? -EAGAIN : -errno; /* POSIX allows either */
        }
    }
    return 0;
}

static int
lock_bytes(int fd, off_t base, unsigned perms, off_t *ret_refused)
{
    int rc;

    for (int i = 0; i < NR_PERMS; i++) {
        if ((perms & (1U << i)) == 0) {
            continue;
        }
        rc = set_lock(fd, F_RDLCK, base + i, 1);
        if (rc < 0) {
            *ret_refused = base + i;
            return rc;
        }
    }
    return 0;
}

/* -EAGAIN when somebody else has a lock on a byte of perms. */
static int
test_bytes(int fd, off_t base, unsigned perms, off_t *ret_refused)
{
    for (int i = 0; i < NR_PERMS; i++) {
        struct flock fl = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = base + i, .l_len = 1};

        if ((perms & (1U << i)) == 0) {
            continue;
        }
        *ret_refused = base + i;
        if (fcntl(fd, F_OFD_GETLK, &fl) < 0) {
            return -errno;
        }
        if (fl.l_type != F_UNLCK) {
            return -EAGAIN;
        }
    }
    return 0;
}

static int
claim_bytes(int fd, const struct claim *c, off_t *ret_refused)
{
    int rc = lock_bytes(fd, USES_BASE, c->uses, ret_refused);

    if (rc < 0) {
        return rc;
    }
    rc = lock_bytes(fd, BARS_BASE, c->bars, ret_refused);
    if (rc < 0) {
        return rc;
    }
    rc = test_bytes(fd, BARS_BASE, c->uses, ret_refused);
    if (rc < 0) {
        return rc;
    }
    return test_bytes(fd, USES_BASE, c->bars, ret_refused);
}

/* The sentence for what a claim or a test said. */
static int
explain(int fd, int rc, off_t refused, struct err *e)
{
    char who[FILE_HOLDER_MAX];

    if (rc == -EAGAIN) {
        file_holder_name(fd, refused, who);
        return err_set(e, -EBUSY, "it is in use by %s", who);
    }
    return err_set(e, rc, "cannot lock byte %lld of it: %s", (long long)refused,
                   err_text(NULL, rc));
}

int
file_lock_take(int fd, enum file_lock_mode mode, struct err *e)
{
    off_t refused = 0;
    int rc = claim_bytes(fd, &claims[mode], &refused);

    if (rc == 0) {
        return 0;
    }
    file_lock_drop(fd); /* first, so that the search for the holder cannot find us */
    return explain(fd, rc, refused, e);
}

int
file_lock_probe(int fd, enum file_lock_mode mode, struct err *e)
{
    const struct claim *c = &claims[mode];
    off_t refused = 0;
    int rc = test_bytes(fd, BARS_BASE, c->uses, &refused);

    if (rc == 0) {
        rc = test_bytes(fd, USES_BASE, c->bars, &refused);
    }
    return rc == 0 ? 0 : explain(fd, rc, refused, e);
}

void
file_lock_drop(int fd)
{
    (void)set_lock(fd, F_UNLCK, USES_BASE,
                   NR_BYTES); /* unlocking a valid range of an */
    (void)set_lock(fd, F_UNLCK, BARS_BASE, NR_BYTES); /* open descriptor cannot fail */
}
