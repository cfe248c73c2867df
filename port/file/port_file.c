/* SPDX-License-Identifier: BSD-3-Clause */
/* The port over a file or block device: maps requests to file_dev, file_zero and
 * file_extents, and ownership to file_lock. */
#include "port_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "file_dev.h"
#include "file_extents.h"
#include "file_ident.h"
#include "file_lock.h"
#include "file_zero.h"
#include "may_block.h"

#define MAX_BLOCK (64U << 20)
#define MIN_PREF_BLOCK 4096U
#define MAX_PREF_BLOCK 65536U

struct file {
    struct port port;
    struct file_dev dev;
    struct port_file_opts opts;
    char *path;
    atomic_bool is_owned;     /* relaxed: for asserts; who orders requests behind own()
                               * is the caller, which must do so anyway */
    atomic_bool trusts_cache; /* relaxed: set and used by one handoff at a time */
};

static int file_submit(struct port *p, const struct req *rq);

static struct file *
file_of(struct port *p)
{
    assert(p->ops->submit == file_submit);
    return (struct file *)p;
}

static bool
is_durable(const struct file *f, const struct req *rq)
{
    return (rq->flags & REQ_F_FUA) != 0 || f->opts.cache == FILE_CACHE_WRITETHROUGH;
}

static int
sync_if_durable(struct file *f, const struct req *rq, int rc)
{
    return rc == 0 && is_durable(f, rq) ? file_dev_sync(&f->dev) : rc;
}

static int
read_req(struct file *f, const struct req *rq)
{
    if ((rq->flags & REQ_F_UNCACHED) != 0) {
        return file_dev_read_uncached(&f->dev, rq->buf, rq->len, rq->off);
    }
    return file_dev_read(&f->dev, rq->buf, rq->len, rq->off);
}

static int
file_submit(struct port *p, const struct req *rq)
{
    struct file *f = file_of(p);
    int rc;

    assert((rq->flags & REQ_F_UNCACHED) != 0 ||
           atomic_load_explicit(&f->is_owned, memory_order_relaxed));
    if ((rq->op != REQ_READ && rq->op != REQ_WRITE) || rq->flags != 0) {
        may_block(); /* plain reads and writes say so themselves, if it comes to that */
    } else if (rq->origin == NULL) {
        may_block_for_vm(rq->len);
    }
    switch (rq->op) {
    case REQ_READ:
        return read_req(f, rq);
    case REQ_WRITE:
        return file_dev_write(&f->dev, rq->buf, rq->len, rq->off, is_durable(f, rq));
    case REQ_FLUSH:
        return file_dev_sync(&f->dev);
    case REQ_TRIM:
        return sync_if_durable(f, rq, file_zero_trim(&f->dev, rq->off, rq->len));
    case REQ_ZERO:
        rc = file_zero_range(&f->dev, rq->off, rq->len, rq->flags);
        return sync_if_durable(f, rq, rc);
    case REQ_CACHE:
        (void)posix_fadvise(f->dev.fd, (off_t)rq->off, (off_t)rq->len,
                            POSIX_FADV_WILLNEED); /* a hint */
        return 0;
    case REQ_EXTENTS:
        return file_extents_report(&f->dev, rq);
    }
    return -EINVAL;
}

static enum file_lock_mode
lock_mode(const struct file *f)
{
    if (!f->opts.readonly) {
        return FILE_LOCK_WRITER;
    }
    return f->opts.share ? FILE_LOCK_SHARER : FILE_LOCK_READER;
}

static int
learn_size(const struct file *f, uint64_t *ret_size)
{
    struct stat st;

    if (f->dev.is_block) {
        return ioctl(f->dev.fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
    }
    if (fstat(f->dev.fd, &st) < 0) {
        return -errno;
    }
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

/* The size was promised when the file was opened, which may be long ago. What it has
 * grown by since then is nobody's. */
static int
check_size(const struct file *f, struct err *e)
{
    uint64_t size = 0;
    int rc = learn_size(f, &size);

    if (rc < 0) {
        return err_set(e, rc, "cannot learn its size: %s", err_text(NULL, rc));
    }
    if (size < f->dev.size) {
        return err_set(e, -EINVAL,
                       "its size is %llu bytes now and was %llu when it was opened",
                       (unsigned long long)size, (unsigned long long)f->dev.size);
    }
    return 0;
}

static int
check_and_forget(struct file *f, struct err *e)
{
    int rc = check_size(f, e);

    if (rc < 0 || f->opts.cache == FILE_CACHE_NONE ||
        atomic_load_explicit(&f->trusts_cache, memory_order_relaxed)) {
        return rc;
    }
    rc = file_dev_forget(&f->dev);
    return rc < 0 ? err_set(e, rc, "cannot drop what is cached of it: %s",
                            err_text(NULL, rc))
                  : 0;
}

static int
file_own(struct port *p, struct err *e)
{
    struct file *f = file_of(p);
    int rc;

    assert(!atomic_load_explicit(&f->is_owned, memory_order_relaxed));
    rc = file_lock_take(f->dev.fd, lock_mode(f), e);
    if (rc < 0) {
        return err_prefix(e, rc, "%s", f->path);
    }
    rc = check_and_forget(f, e);
    if (rc < 0) {
        file_lock_drop(f->dev.fd);
        return err_prefix(e, rc, "%s", f->path);
    }
    atomic_store_explicit(&f->is_owned, true, memory_order_relaxed);
    return 0;
}

int
port_file_probe(struct port *p, struct err *e)
{
    struct file *f = file_of(p);

    return file_lock_probe(f->dev.fd, lock_mode(f), e);
}

int
port_file_lasting(struct port *p, char *id, int id_size)
{
    return file_ident_lasting(file_of(p)->dev.fd, id, id_size);
}

static void
file_disown(struct port *p)
{
    struct file *f = file_of(p);

    atomic_store_explicit(&f->is_owned, false, memory_order_relaxed);
    file_lock_drop(f->dev.fd);
}

static int
file_identify(struct port *p, char *id, int id_size)
{
    return file_ident_of(file_of(p)->dev.fd, id, id_size);
}

static uint64_t
file_size_now(struct port *p)
{
    uint64_t size = 0;

    (void)learn_size(file_of(p), &size); /* 0: not known */
    return size;
}

static void
file_note_lost(struct port *p, int rc)
{
    (void)file_dev_note_lost(&file_of(p)->dev, rc); /* rc again */
}

static void
file_close(struct port *p)
{
    struct file *f = file_of(p);

    file_dev_close(&f->dev);
    free(f->path);
    free(f);
}

static const struct port_ops file_ops = {.name = "file",
                                         .says_may_block = true,
                                         .submit = file_submit,
                                         .own = file_own,
                                         .disown = file_disown,
                                         .identify = file_identify,
                                         .size_now = file_size_now,
                                         .note_lost = file_note_lost,
                                         .close = file_close};

static uint32_t
pref_block(const struct file_dev *dev, uint32_t min_block)
{
    uint32_t lowest = min_block > MIN_PREF_BLOCK ? min_block : MIN_PREF_BLOCK;
    unsigned physical = 0;
    struct stat st;

    if (dev->is_block) {
        if (ioctl(dev->fd, BLKPBSZGET, &physical) < 0) {
            return lowest;
        }
    } else if (fstat(dev->fd, &st) == 0 && st.st_blksize <= (blksize_t)MAX_PREF_BLOCK) {
        physical = (unsigned)st.st_blksize;
    }
    if (physical <= lowest || physical > MAX_PREF_BLOCK ||
        (physical & (physical - 1)) != 0) {
        return lowest;
    }
    return physical;
}

static uint32_t
capabilities(const struct file *f)
{
    uint32_t caps = PORT_CAN_FLUSH | PORT_CAN_FUA | PORT_CAN_MULTI_CONN;

    if (!f->opts.readonly) {
        caps |= PORT_CAN_WRITE | PORT_CAN_TRIM | PORT_CAN_ZERO | PORT_CAN_FAST_ZERO;
    }
    if (f->opts.cache != FILE_CACHE_NONE) {
        caps |= PORT_CAN_CACHE;
    }
    if (file_extents_are_known(&f->dev)) {
        caps |= PORT_CAN_EXTENTS;
    }
    if (f->dev.is_block && file_ident_is_rotational(f->dev.fd)) {
        caps |= PORT_ROTATIONAL;
    }
    return caps;
}

static void
fill_info(struct file *f)
{
    uint32_t min_block = f->dev.is_direct ? f->dev.direct.block : 1;

    f->port.ops = &file_ops;
    f->port.info = (struct port_info){.size = f->dev.size,
                                      .min_block = min_block,
                                      .pref_block = pref_block(&f->dev, min_block),
                                      .max_block = MAX_BLOCK,
                                      .caps = capabilities(f)};
}

int
port_file_open(const char *path, const struct port_file_opts *opts, struct err *e,
               struct port **ret_port)
{
    struct file *f = calloc(1, sizeof *f);
    int rc = -ENOMEM;

    assert(opts->readonly || !opts->share);
    if (f == NULL) {
        return err_set(e, rc, "%s: %s", path, err_text(NULL, rc));
    }
    f->opts = *opts;
    f->path = strdup(path);
    if (f->path == NULL) {
        (void)err_set(e, rc, "%s: %s", path, err_text(NULL, rc));
        goto fail;
    }
    rc = file_dev_open(&f->dev, path, opts, e);
    if (rc < 0) {
        goto fail;
    }
    atomic_init(&f->trusts_cache, true);
    fill_info(f);
    *ret_port = &f->port;
    return 0;

fail:
    free(f->path);
    free(f);
    return rc;
}

void
port_file_trust_cache(struct port *p, bool trust)
{
    atomic_store_explicit(&file_of(p)->trusts_cache, trust, memory_order_relaxed);
}
