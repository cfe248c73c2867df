/* SPDX-License-Identifier: BSD-3-Clause */
/* gate_plugin.c - an nbdkit plugin: a file whose writes end only while a gate is open;
 * or, with what=flush or what=read, its flushes or reads. Both are fifos: a request
 * says that it is there in `arrived`, a byte each, and goes on when somebody has `gate`
 * open for writing. Everything else is answered at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static char *paths[3];
static const char *const keys[] = {"file", "arrived", "gate"};
static const char *what = "write";
static int fd = -1, arrived_fd = -1;

static void
gate_unload(void)
{
    (void)close(fd);
    (void)close(arrived_fd);
    for (unsigned i = 0; i < 3; i++) {
        free(paths[i]);
    }
}

static int
gate_config(const char *key, const char *value)
{
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(key, keys[i]) == 0) {
            free(paths[i]);
            paths[i] = nbdkit_realpath(value);
            return paths[i] == NULL ? -1 : 0;
        }
    }
    if (strcmp(key, "what") == 0) {
        what = value; /* nbdkit keeps it */
        return 0;
    }
    nbdkit_error("unknown parameter: %s", key);
    return -1;
}

static int
gate_config_complete(void)
{
    for (unsigned i = 0; i < 3; i++) {
        if (paths[i] == NULL) {
            nbdkit_error("%s= is missing", keys[i]);
            return -1;
        }
    }
    return 0;
}

static int
gate_get_ready(void)
{
    fd = open(paths[0], O_RDWR | O_CLOEXEC);
    arrived_fd = open(paths[1], O_RDWR | O_CLOEXEC);
    if (fd < 0 || arrived_fd < 0) {
        nbdkit_error("%s: %m", fd < 0 ? paths[0] : paths[1]);
        return -1;
    }
    return 0;
}

static void *
gate_open(int readonly)
{
    (void)readonly; /* the front end refuses writes then */
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t
gate_get_size(void *handle)
{
    struct stat st;

    (void)handle;
    return fstat(fd, &st) < 0 ? -1 : st.st_size;
}

static int
gate_can_multi_conn(void *handle)
{
    (void)handle;
    return 1; /* one file for all connections */
}

/* An open of a fifo for reading waits until somebody has it open for writing. */
static int
pass_gate(const char *op)
{
    int gate_fd;

    if (strcmp(op, what) != 0) {
        return 0;
    }
    if (write(arrived_fd, "\n", 1) != 1) {
        return -1;
    }
    gate_fd = open(paths[2], O_RDONLY | O_CLOEXEC);
    return gate_fd < 0 ? -1 : close(gate_fd);
}

static int
gate_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    if (pass_gate("read") < 0 ||
        pread(fd, buf, count, (off_t)offset) != (ssize_t)count) {
        nbdkit_error("pread: %m");
        return -1;
    }
    return 0;
}

static int
gate_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
            uint32_t flags)
{
    (void)handle;
    (void)flags;
    if (pass_gate("write") < 0 ||
        pwrite(fd, buf, count, (off_t)offset) != (ssize_t)count) {
        nbdkit_error("pwrite: %m");
        return -1;
    }
    return 0;
}

static int
gate_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return pass_gate("flush") < 0 ? -1 : fdatasync(fd);
}

static struct nbdkit_plugin plugin = {
    .name = "gate",
    .version = BATON_VERSION,
    .longname = "a file whose writes wait at a gate",
    .unload = gate_unload,
    .config = gate_config,
    .config_complete = gate_config_complete,
    .config_help = "file=FILE\narrived=FIFO\ngate=FIFO\nwhat=write|flush|read",
    .get_ready = gate_get_ready,
    .open = gate_open,
    .get_size = gate_get_size,
    .can_multi_conn = gate_can_multi_conn,
    .pread = gate_pread,
    .pwrite = gate_pwrite,
    .flush = gate_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
