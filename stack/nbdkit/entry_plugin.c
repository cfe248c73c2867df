/* SPDX-License-Identifier: BSD-3-Clause */
/* The nbdkit plugin: hands parameters to the configuration, requests to the service,
 * and errors back. No logic. */
#define NBDKIT_API_VERSION 2
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nbdkit-plugin.h>

#include "access.h"
#include "client.h"
#include "config.h"
#include "config_rows.h"
#include "guard_tls.h"
#include "log.h"
#include "pidfile.h"
#include "port.h"
#include "run.h"
#include "tls_peer.h"
#include "trace.h"

#define MALLOC_ARENAS 4
static struct service_config config;
static struct service *service;
static int control_fd = -1;

static void
baton_load(void)
{
    /* Hundreds of threads that come and go would each leave memory behind in one of
     * eight heaps a CPU. Requests that are only performed allocate nothing. */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS); /* refused: as without */
    trace_init();
    service_config_init(&config);
}

static void
baton_unload(void)
{
    service_config_done(&config);
}

/* Not nbdkit's own --pidfile: that is written before the service is ready, over what a
 * living one wrote, and stays when the start is refused. */
static int
choose_pidfile(const char *value)
{
    char *path = nbdkit_absolute_path(value);
    int rc = path != NULL ? pidfile_choose(path) : -EINVAL;

    free(path);
    return rc < 0 ? -1 : 0; /* nbdkit has said why */
}

static int
baton_config(const char *key, const char *value)
{
    struct err e = {0};

    if (strcmp(key, "control-fd") == 0) {
        return nbdkit_parse_int(key, value, &control_fd);
    }
    if (strcmp(key, "pidfile") == 0) {
        return choose_pidfile(value);
    }
    if (config_set(&config, key, value, "parameter", &e) < 0) {
        nbdkit_error("%s", e.msg);
        return -1;
    }
    return 0;
}

static int
baton_config_complete(void)
{
    struct err e = {0};

    if (config_complete(&config, &e) < 0) {
        nbdkit_error("%s", e.msg);
        return -1;
    }
    log_set_name(config.name);
    return 0;
}

/* nbdkit has loaded the certificates of its listener; the guard looks after them. */
static void
watch_certificates(void)
{
    void (*watch)(const char *folder) = NULL;

    *(void **)&watch = dlsym(RTLD_DEFAULT, GUARD_TLS_WATCH);
    if (watch != NULL && config.tls.certificates != NULL) {
        watch(config.tls.certificates);
    }
}

static int
baton_after_fork(void)
{
    struct err e = {0};

    watch_certificates();

    if (run_service(&config, control_fd, &e, &service) < 0) {
        nbdkit_error("%s", e.msg);
        /* Not by way of exit(): threads of ours may run, and libraries would be taken
         * from under them (it has been seen to hang in libp11-kit). */
        _exit(EXIT_FAILURE);
    }
    return 0;
}

/* Of the connection of this thread. The peer's name is asked of the guard, which is
 * there under "baton serve". */
static struct client_origin
origin(int is_tls)
{
    const struct tls_peer *(*ask)(void) = NULL;
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof addr;
    static __thread struct tls_peer machine; /* of this thread's connection */
    struct client_origin from;

    if (nbdkit_peer_name((struct sockaddr *)&addr, &len) < 0) {
        addr.ss_family = AF_UNSPEC;
    }
    from = allow_origin(&addr, is_tls != 0, &machine);
    *(void **)&ask = dlsym(RTLD_DEFAULT, GUARD_TLS_PEER);
    from.peer = from.is_tls && ask != NULL ? ask() : from.peer;
    allow_name(&addr, from.is_unix ? nbdkit_peer_pid() : -1, &from);
    return from;
}

static int
may_look(const struct client_origin *from)
{
    struct err e = {0};

    if (allow_connection(&config, from, &e) < 0) {
        nbdkit_error("%s", e.msg);
        return -1;
    }
    return 0;
}

static int
baton_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    struct client_origin from = origin(is_tls);

    (void)readonly;
    if (may_look(&from) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < config.nr_disks; i++) {
        if (client_may_open(service, i, &from) &&
            nbdkit_add_export(exports, config.disks[i].name,
                              config.disks[i].description) < 0) {
            return -1;
        }
    }
    return 0;
}

static const char *
baton_default_export(int readonly, int is_tls)
{
    struct client_origin from = origin(is_tls);

    (void)readonly;
    if (may_look(&from) < 0) {
        return NULL;
    }
    return config.nr_disks == 1 ? config.disks[0].name : "";
}

static void *
baton_open(int readonly)
{
    struct client_origin from = origin(nbdkit_is_tls());
    struct err e = {0};
    struct client *c;

    (void)readonly; /* nbdkit itself refuses writes of a read-only server */
    if (client_open(service, nbdkit_export_name(), &from, &e, &c) < 0) {
        nbdkit_error("%s", e.msg);
        return NULL;
    }
    return c;
}

static void
baton_close(void *handle)
{
    client_close(handle);
}

static const char *
baton_export_description(void *handle)
{
    return client_description(handle);
}

static int64_t
baton_get_size(void *handle)
{
    return (int64_t)client_info(handle)->size;
}

static int
baton_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                 uint32_t *maximum)
{
    const struct port_info *info = client_info(handle);

    *minimum = info->min_block;
    *preferred = info->pref_block;
    *maximum = info->max_block;
    return 0;
}

static int
has(void *handle, uint32_t cap)
{
    return (client_info(handle)->caps & cap) != 0;
}

#define ANSWER(method, cap)                                                            \
    static int baton_##method(void *handle)                                            \
    {                                                                                  \
        return has(handle, cap);                                                       \
    }
ANSWER(can_write, PORT_CAN_WRITE)
ANSWER(can_flush, PORT_CAN_FLUSH)
ANSWER(can_trim, PORT_CAN_TRIM)
ANSWER(can_zero, PORT_CAN_ZERO) /* nbdkit writes zeroes otherwise */
ANSWER(can_fast_zero, PORT_CAN_FAST_ZERO)
ANSWER(can_extents, PORT_CAN_EXTENTS)
ANSWER(can_multi_conn, PORT_CAN_MULTI_CONN)
ANSWER(is_rotational, PORT_ROTATIONAL)

static int
baton_can_fua(void *handle)
{
    if (has(handle, PORT_CAN_FUA)) {
        return NBDKIT_FUA_NATIVE;
    }
    return has(handle, PORT_CAN_FLUSH) ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE;
}

static int
baton_can_cache(void *handle)
{
    return has(handle, PORT_CAN_CACHE) ? NBDKIT_CACHE_NATIVE : NBDKIT_CACHE_NONE;
}

/* The one conversion of errors to nbdkit. -ESTALE means "not performed, ask the owner":
 * NBD_ESHUTDOWN, which only a channel gets to see. */
static int
perform(void *handle, struct req *rq)
{
    int rc = port_check(client_info(handle), rq);

    if (rc == 0) {
        rc = client_submit(handle, rq);
    }
    if (rc < 0) {
        nbdkit_set_error(rc == -ESTALE ? ESHUTDOWN : -rc);
        return -1;
    }
    return 0;
}

static uint32_t
req_flags(uint32_t nbdkit_flags)
{
    uint32_t flags = 0;

    flags |= (nbdkit_flags & NBDKIT_FLAG_FUA) != 0 ? REQ_F_FUA : 0;
    flags |= (nbdkit_flags & NBDKIT_FLAG_MAY_TRIM) != 0 ? REQ_F_MAY_TRIM : 0;
    flags |= (nbdkit_flags & NBDKIT_FLAG_FAST_ZERO) != 0 ? REQ_F_FAST : 0;
    flags |= (nbdkit_flags & NBDKIT_FLAG_REQ_ONE) != 0 ? REQ_F_ONE : 0;
    return flags;
}

static int
baton_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    return perform(
        handle, &(struct req){.op = REQ_READ, .len = count, .off = offset, .buf = buf});
}

static int
baton_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
             uint32_t flags)
{
    return perform(handle, &(struct req){.op = REQ_WRITE,
                                         .flags = req_flags(flags),
                                         .len = count,
                                         .off = offset,
                                         .buf = (void *)(uintptr_t)buf});
}

static int
baton_flush(void *handle, uint32_t flags)
{
    (void)flags;
    return perform(handle, &(struct req){.op = REQ_FLUSH});
}

static int
perform_range(void *handle, enum req_op op, uint32_t count, uint64_t offset,
              uint32_t flags)
{
    return perform(
        handle, &(struct req){
                    .op = op, .flags = req_flags(flags), .len = count, .off = offset});
}

static int
baton_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return perform_range(handle, REQ_TRIM, count, offset, flags);
}

static int
baton_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return perform_range(handle, REQ_ZERO, count, offset, flags);
}

static int
baton_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return perform_range(handle, REQ_CACHE, count, offset, flags);
}

struct nbdkit_sink {
    struct extent_sink sink; /* first */
    struct nbdkit_extents *extents;
};

static int
add_extent(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    uint32_t t = 0;

    t |= (type & EXTENT_HOLE) != 0 ? NBDKIT_EXTENT_HOLE : 0;
    t |= (type & EXTENT_ZERO) != 0 ? NBDKIT_EXTENT_ZERO : 0;
    if (nbdkit_add_extent(((struct nbdkit_sink *)s)->extents, off, len, t) < 0) {
        return errno > 0 ? -errno : -EIO;
    }
    return 0;
}

static int
baton_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
              struct nbdkit_extents *extents)
{
    struct nbdkit_sink s = {.sink.add = add_extent, .extents = extents};

    return perform(handle, &(struct req){.op = REQ_EXTENTS,
                                         .flags = req_flags(flags),
                                         .len = count,
                                         .off = offset,
                                         .extents = &s.sink});
}

static struct nbdkit_plugin plugin = {
    .name = "baton",
    .longname = "Baton: hands a running disk to another owner",
    .version = BATON_VERSION,
    .load = baton_load,
    .unload = baton_unload,
    .config = baton_config,
    .config_complete = baton_config_complete,
    .after_fork = baton_after_fork,
    .list_exports = baton_list_exports,
    .default_export = baton_default_export,
    .open = baton_open,
    .close = baton_close,
    .export_description = baton_export_description,
    .get_size = baton_get_size,
    .block_size = baton_block_size,
    .can_write = baton_can_write,
    .can_flush = baton_can_flush,
    .can_fua = baton_can_fua,
    .can_trim = baton_can_trim,
    .can_zero = baton_can_zero,
    .can_fast_zero = baton_can_fast_zero,
    .can_extents = baton_can_extents,
    .can_cache = baton_can_cache,
    .can_multi_conn = baton_can_multi_conn,
    .is_rotational = baton_is_rotational,
    .pread = baton_pread,
    .pwrite = baton_pwrite,
    .flush = baton_flush,
    .trim = baton_trim,
    .zero = baton_zero,
    .cache = baton_cache,
    .extents = baton_extents,
    .errno_is_preserved = 1,
};

/* nbdkit copies the struct before it calls load(). */
static void __attribute__((constructor)) make_config_help(void)
{
    static char help[4096];
    FILE *f = fmemopen(help, sizeof help - 1, "w");
    size_t len;

    if (f == NULL) { /* no memory: nbdkit will not come far either */
        return;
    }
    config_rows_help_parameters(config_settings, f);
    config_rows_help_parameter(f, "control-fd=N",
                               "descriptor of a control socket that listens already");
    config_rows_help_parameter(
        f, "pidfile=FILE",
        "holds the service's process id from when it is ready until it ends");
    (void)fclose(f);
    len = strlen(help);
    help[len > 0 ? len - 1 : 0] = '\0'; /* nbdkit ends the last line */
    plugin.config_help = help;
}

struct nbdkit_plugin *plugin_init(void); /* the macro defines it without a prototype */
NBDKIT_REGISTER_PLUGIN(plugin)
