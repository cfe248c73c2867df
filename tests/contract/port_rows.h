/* SPDX-License-Identifier: BSD-3-Clause */
/* port_rows.h - the ports that the contract tests run over, and how the tests talk to
 * them. A new port adds an open function and one line to rows[]. Files are made in the
 * current folder (the build tree, which is on a disk) and unlinked at once, so nothing
 * is left behind even by a crash. */
#ifndef BATON_PORT_ROWS_H
#define BATON_PORT_ROWS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "../loop_device.h"
#include "clock.h"
#include "nbd_ports.h"
#include "port.h"
#include "port_fault.h"
#include "port_file.h"
#include "port_mem.h"
#include "redirector.h"

#define KIB 1024U
#define MIB (1024U * KIB)
#define EVEN_SIZE (UINT64_C(36) * MIB)
#define ODD_SIZE (EVEN_SIZE + 1537)

static inline struct port *
open_mem(uint64_t size)
{
    struct port *p = NULL;

    ck_assert_int_eq(port_mem_new(size, &p), 0);
    return p;
}

static inline struct port *
open_fault_over_mem(uint64_t size)
{
    struct port *p = NULL;

    ck_assert_int_eq(port_fault_new(open_mem(size), &p), 0);
    return p;
}

static struct redir *row_redir; /* behind the port of the redirector's row, else NULL */

static inline struct port *
open_redirector_over_mem(uint64_t size)
{
    struct port *mem = open_mem(size), *old = NULL;

    ck_assert_int_eq(redir_new("row", &mem->info, CLOCK_NEVER, &row_redir), 0);
    ck_assert_int_eq(redir_swap(row_redir, mem, REDIR_LOCAL, NULL, &old), 0);
    ck_assert_int_eq(redir_release(row_redir), 0);
    return redir_port(row_redir);
}

static inline struct port *
open_file(uint64_t size, enum file_cache cache)
{
    const struct port_file_opts opts = {.cache = cache};
    char path[] = "port-contract-XXXXXX";
    int fd = mkstemp(path), rc;
    struct port *p = NULL;
    struct err e = {""};

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    ck_assert_int_eq(close(fd), 0);
    rc = port_file_open(path, &opts, &e, &p);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_msg(rc == 0, "%s", e.msg);
    return p;
}

static inline struct port *
open_file_writeback(uint64_t size)
{
    return open_file(size, FILE_CACHE_WRITEBACK);
}

static inline struct port *
open_file_writethrough(uint64_t size)
{
    return open_file(size, FILE_CACHE_WRITETHROUGH);
}

static inline struct port *
open_file_none(uint64_t size)
{
    return open_file(size, FILE_CACHE_NONE);
}

static inline struct port *
open_loop(uint64_t size, uint32_t block, enum file_cache cache)
{
    const struct port_file_opts opts = {.cache = cache};
    char path[LOOP_PATH_MAX];
    int fd = loop_device_open(size, block, path), rc;
    struct port *p = NULL;
    struct err e = {""};

    ck_assert_int_ge(fd, 0);
    rc = port_file_open(path, &opts, &e, &p);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_msg(rc == 0, "%s", e.msg);
    return p;
}

static inline struct port *
open_block_writeback(uint64_t size)
{
    return open_loop(size, 512, FILE_CACHE_WRITEBACK);
}

static inline struct port *
open_block_none(uint64_t size)
{
    return open_loop(size, 4096, FILE_CACHE_NONE);
}

/* size: of the device; a port with min_block 1 gets one that ends inside a sector. */
static const struct row {
    const char *name;
    struct port *(*open)(uint64_t size);
    uint64_t size;
} rows[] = {
    {"mem", open_mem, ODD_SIZE},
    {"fault over mem", open_fault_over_mem, ODD_SIZE},
    {"file, writeback", open_file_writeback, ODD_SIZE},
    {"file, writethrough", open_file_writethrough, ODD_SIZE},
    {"file, none", open_file_none, EVEN_SIZE},
    {"redirector over mem", open_redirector_over_mem, ODD_SIZE},
    {"nbd", nbd_ports_open_nbd, ODD_SIZE},
    {"channel", nbd_ports_open_channel, ODD_SIZE},

    /* Last, because they need loop devices: nr_rows() leaves them out without. */
    {"block device, writeback", open_block_writeback, EVEN_SIZE},
    {"block device, none", open_block_none, EVEN_SIZE},
};
#define NR_BLOCK_ROWS 2

static inline int
nr_rows(void)
{
    int nr = (int)(sizeof rows / sizeof rows[0]);

    return loop_devices_work() ? nr : nr - NR_BLOCK_ROWS;
}

static inline struct port *
open_row(int i)
{
    struct port *p = rows[i].open(rows[i].size);
    struct err e = {""};
    int rc = port_own(p, &e);

    ck_assert_msg(rc == 0, "%s: %s", rows[i].name, e.msg);
    ck_assert_uint_eq(p->info.size, rows[i].size);
    return p;
}

/* For a port that is not owned. */
static inline void
free_row(struct port *p)
{
    port_close(p);
    redir_free(row_redir);
    row_redir = NULL;
    nbd_ports_close();
}

static inline void
close_row(struct port *p)
{
    port_disown(p);
    free_row(p);
}

/* What a request returns that passed port_check(), or what that says. */
static inline int
submit(struct port *p, enum req_op op, uint32_t flags, uint64_t off, uint32_t len,
       void *buf)
{
    const struct req rq = {
        .op = op, .flags = flags, .off = off, .len = len, .buf = buf};
    int rc = port_check(&p->info, &rq);

    return rc < 0 ? rc : port_submit(p, &rq);
}

static inline unsigned char *
new_buf(size_t len)
{
    unsigned char *buf = malloc(len);

    ck_assert_ptr_nonnull(buf);
    return buf;
}

static inline void
write_fill(struct port *p, uint64_t off, uint32_t len, int fill, uint32_t flags)
{
    unsigned char *buf = new_buf(len);

    memset(buf, fill, len);
    ck_assert_int_eq(submit(p, REQ_WRITE, flags, off, len, buf), 0);
    free(buf);
}

static inline bool
is_filled(struct port *p, uint64_t off, uint32_t len, int fill, uint32_t flags)
{
    unsigned char *buf = new_buf(len);
    uint32_t i = 0;

    memset(buf, ~fill, len);
    ck_assert_int_eq(submit(p, REQ_READ, flags, off, len, buf), 0);
    while (i < len && buf[i] == (unsigned char)fill) {
        i++;
    }
    free(buf);
    return i == len;
}

#endif
