/* SPDX-License-Identifier: BSD-3-Clause */
/* kept_owner.h - owners for the channel's tests that say who they are, and machines
 * that forget what was not flushed: the file behind the server is emptied while it is
 * dead. Include it after channel_fixture.h. */
#ifndef BATON_KEPT_OWNER_H
#define BATON_KEPT_OWNER_H

#include <string.h>

#include "channel_fixture.h"
#include "mute_server.h"
#include "port_file.h"

static char kept_log[80];

/* Once a test. The servers write a log of their requests. */
static inline void
kept_begin(void)
{
    nbdkit_server_init(&server);
    (void)snprintf(kept_log, sizeof kept_log, "%s/log", server.dir);
    memset(&policy, 0, sizeof policy);
}

static inline void
kept_end(void)
{
    (void)unlink(kept_log);
    close_all();
}

/* An owner with this statement over server.file: more filters may stand in between. */
static inline void
start_owner(const char *statement, const char *filter, const char *parameter)
{
    char desc[256], log[100];
    const char *args[] = {"--filter=log",
                          "--filter=exportname",
                          filter,
                          "file",
                          server.file,
                          desc,
                          log,
                          parameter,
                          NULL};
    int fd = open(server.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_eq(ftruncate(fd, 4 * MIB), 0);
    close(fd);
    (void)unlink(kept_log);
    (void)snprintf(desc, sizeof desc, "exportdesc=fixed:%s", statement);
    (void)snprintf(log, sizeof log, "logfile=%s", kept_log);
    nbdkit_server_start(&server, args);
}

static inline void
start_m(const char *statement)
{
    start_owner(statement, "--filter=nofilter", NULL);
}

/* The owner's machine dies with what it had not flushed. */
static inline void
lose_machine(void)
{
    nbdkit_server_kill(&server);
    ck_assert_int_eq(truncate(server.file, 0), 0);
    ck_assert_int_eq(truncate(server.file, 4 * MIB), 0);
}

static inline int
change(enum req_op op, uint32_t flags, char c, uint64_t off, uint32_t len)
{
    char buf[BLOCK];
    const struct req rq = {
        .op = op, .flags = flags, .off = off, .len = len, .buf = buf};

    memset(buf, c, sizeof buf);
    return port_submit(port, &rq);
}

static inline int
put(char c, uint64_t off, uint32_t len)
{
    return change(REQ_WRITE, 0, c, off, len);
}

/* What stands in the file of the owner. */
static inline char
in_file(off_t off)
{
    int fd = open(server.file, O_RDONLY | O_CLOEXEC);
    char c = '?';

    ck_assert_int_eq(pread(fd, &c, 1, off), 1);
    close(fd);
    return c;
}

/* How often the log of the present owner says this. */
static inline unsigned
in_log(const char *text)
{
    FILE *f = fopen(kept_log, "re");
    char line[512];
    unsigned n = 0;

    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f) != NULL) {
        n += strstr(line, text) != NULL;
    }
    (void)fclose(f);
    return n;
}

/* The last owner dies and the disk comes to us: its device, to be closed. */
static inline struct port *
take_device(uint64_t epoch)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};
    const struct channel_owner us = {.epoch = epoch};
    struct port *a;
    uint64_t nr;

    nbdkit_server_kill(&server);
    port_channel_recall(port);
    ck_assert_int_eq(port_file_open(server.file, &opts, NULL, &a), 0);
    ck_assert_int_eq(port_own(a, NULL), 0);
    ck_assert_int_eq(port_channel_hand_over(port, &us, a, &nr), 0);
    return a;
}

static inline uint64_t
nr_kept(void)
{
    return atomic_load_explicit(&kept.nr, memory_order_relaxed);
}

#endif
