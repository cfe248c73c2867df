/* SPDX-License-Identifier: BSD-3-Clause */
/* grouporder - the command line of the chain checker; README.md says what a pass
 * proves. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <libnbd.h>

#include "cleanup.h"
#include "clock.h"
#include "err.h"
#include "group.h"
#include "link.h"
#include "option.h"
#include "order.h"
#include "stamp.h"

#define MAX_DISKS 64

static const char usage[] =
    "usage: grouporder --uri URI1 --uri URI2 ... (--seconds N | --stop-file F)\n"
    "       grouporder --verify [--live] FILE1 FILE2 ...\n"
    "       grouporder --check-order [--live] --uri URI1 --uri URI2 ...\n"
    "Writes counters that go from disk to disk, each after the reply of the one "
    "before,\n"
    "and checks that no disk is ever ahead of the one before it.\n"
    "  --seconds N          run so long;  --stop-file F  end when F exists\n"
    "  --ready-file F       made when the disks are ready to be verified\n"
    "  --slots N            chains at a time (32)   --offset BYTES  of slot 0 (0)\n"
    "  --reconnect[=S]      on a broken connection, try for S seconds (60) to connect\n"
    "                       and send again what has no reply\n"
    "  --timeout S          the longest wait for a reply (60)\n"
    "  --journal FILE       write how far each chain came; when verifying, compare\n"
    "  --live               the disks are being written: ask only for the order\n"
    "Status: 0 in order, 1 a fault, which is described, 2 wrong usage.\n";

enum mode { MODE_RUN, MODE_FILES, MODE_URIS };

struct options {
    enum mode mode;
    struct group_params group;
    struct order order;
    const char *names[MAX_DISKS]; /* URIs or files */
    unsigned nr_names;
    const char *journal;
};

static const struct option_tool tool = {"grouporder", usage};

static void
add_name(void *ctx, char *name)
{
    struct options *o = ctx;

    if (o->nr_names == MAX_DISKS) {
        option_wrong_usage(&tool, "too many disks");
    }
    o->names[o->nr_names++] = name;
}

static void
parse_options(struct options *o, int argc, char **argv)
{
    struct group_params *g = &o->group;
    bool is_verify = false, is_check = false;
    const struct option_row rows[] = {
        {"uri", .call = add_name},
        {"seconds", .number = &g->run_ns, OPTION_SECONDS},
        {"stop-file", .text = &g->stop_file},
        {"ready-file", .text = &g->ready_file},
        {"slots", .count = &o->order.nr_slots, .least = 1, .most = 4096},
        {"offset", .number = &o->order.offset, .most = INT64_MAX / 2},
        {"reconnect", .number = &g->reconnect_ns, OPTION_SECONDS, .if_bare = "60"},
        {"timeout", .number = &g->timeout_ns, OPTION_SECONDS},
        {"journal", .text = &o->journal},
        {"live", .flag = &o->order.is_live},
        {"verify", .flag = &is_verify},
        {"check-order", .flag = &is_check},
    };
    int i = option_parse(&tool, rows, sizeof rows / sizeof rows[0], o, argc, argv);

    /* Names may follow the options: "--uri URI1 URI2", "--verify FILE1 FILE2". */
    for (; i < argc; i++) {
        add_name(o, argv[i]);
    }
    if (is_verify) {
        o->mode = MODE_FILES;
    } else if (is_check) {
        o->mode = MODE_URIS;
    }
}

static int
read_file(void *opaque, unsigned disk, uint64_t offset, void *buf, uint64_t size,
          struct err *e)
{
    const struct options *o = opaque;
    int fd AUTO_FD = open(o->names[disk], O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return err_set(e, -errno, "%s: cannot be read", o->names[disk]);
    }
    if (pread(fd, buf, size, (off_t)offset) != (ssize_t)size) {
        return err_set(e, -EIO, "%s: too short or not readable", o->names[disk]);
    }
    return 0;
}

static int
read_uri(void *opaque, unsigned disk, uint64_t offset, void *buf, uint64_t size,
         struct err *e)
{
    const struct options *o = opaque;
    struct nbd_handle *nbd = NULL;
    char text[900];
    int rc = link_open(o->names[disk], clock_deadline_ns(o->group.timeout_ns), &nbd,
                       text, sizeof(text));

    if (rc < 0) {
        return err_set(e, rc, "%s", text);
    }
    if (nbd_pread(nbd, buf, size, offset, 0) < 0) {
        rc = err_set(e, -EIO, "%s: %s", o->names[disk], nbd_get_error());
    }
    nbd_close(nbd);
    return rc;
}

/* Read and judge; chains may be NULL. */
static int
verify(struct options *o, order_read_fn *fn, const struct order_chain *chains,
       struct err *e)
{
    int rc = order_init(&o->order);

    if (rc < 0) {
        return err_set(e, rc, "out of memory");
    }
    rc = order_read(&o->order, fn, o, e);
    rc = rc == 0 ? order_check(&o->order, e) : rc;
    if (rc == 0 && chains != NULL) {
        rc = order_check_chains(&o->order, chains, e);
    }
    order_done(&o->order);
    return rc;
}

static int
run_verify(struct options *o, struct err *e)
{
    struct order_chain *chains AUTO_FREE = NULL;
    int rc = o->journal == NULL ? 0 : order_load(o->journal, &o->order, &chains, e);

    if (rc == 0 && o->order.nr_disks != o->nr_names) {
        rc = err_set(e, -EINVAL, "the journal is of %u disks", o->order.nr_disks);
    }
    if (rc == 0) {
        rc = verify(o, o->mode == MODE_FILES ? read_file : read_uri, chains, e);
    }
    if (rc == 0) {
        (void)printf("{\"result\": \"ok\", \"slots\": %u, \"disks\": %u}\n",
                     o->order.nr_slots, o->order.nr_disks);
    }
    return rc;
}

static int
run_chains(struct options *o, struct err *e)
{
    struct order_chain *chains AUTO_FREE = calloc(o->order.nr_slots, sizeof(*chains));
    struct group_report r = {.writes = 0};
    int rc, saved = 0;

    if (chains == NULL || getrandom(&o->order.run, sizeof(o->order.run), 0) < 0) {
        return err_set(e, -ENOMEM, "no memory or no random numbers");
    }
    rc = group_run(&o->group, &o->order, chains, &r, e);
    if (o->journal != NULL) {
        saved = order_save(o->journal, &o->order, chains, rc < 0 ? NULL : e);
    }
    rc = rc == 0 ? saved : rc;
    rc = rc == 0 ? verify(o, read_uri, chains, e) : rc;
    (void)printf("{\"result\": \"%s\", \"seconds\": %.3f, \"writes\": %" PRIu64
                 ", \"rounds\": %" PRIu64 ", \"reconnects\": %" PRIu64
                 ", \"sent_again\": %" PRIu64 ", \"max_us\": %" PRIu64 "}\n",
                 rc == 0 ? "ok" : "fault", (double)r.ns / 1e9, r.writes, r.rounds,
                 r.reconnects, r.sent_again, r.max_ns / NS_PER_US);
    return rc;
}

int
main(int argc, char **argv)
{
    struct options o = {.group = {.timeout_ns = 60 * NS_PER_S},
                        .order = {.nr_slots = 32}};
    struct err e = {.msg = ""};
    int rc;

    parse_options(&o, argc, argv);
    o.group.uris = o.names;
    o.order.nr_disks = o.nr_names;
    if (o.nr_names < 2 || o.order.offset % STAMP_SECTOR != 0) {
        option_wrong_usage(&tool, "two disks at least, --offset a multiple of 512");
    }
    if (o.mode == MODE_RUN && o.group.run_ns == 0 && o.group.stop_file == NULL) {
        option_wrong_usage(&tool, "no end: --seconds or --stop-file");
    }
    rc = o.mode == MODE_RUN ? run_chains(&o, &e) : run_verify(&o, &e);
    if (rc < 0) {
        (void)fprintf(stderr, "grouporder: FAULT: %s\n", err_text(&e, rc));
        return 1;
    }
    return 0;
}
