/* SPDX-License-Identifier: BSD-3-Clause */
#include "virt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

struct virt {
    virConnectPtr conn;
};

/* Without an error function of ours, libvirt prints its errors itself. */
static void
say_nothing(void *opaque, virErrorPtr error)
{
    (void)opaque;
    (void)error;
}

static int
errno_of(int code)
{
    switch (code) {
    case VIR_ERR_NO_DOMAIN:
        return ENOENT;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_SYSTEM_ERROR:
        return ECONNREFUSED;
    case VIR_ERR_AUTH_FAILED:
        return EACCES;
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_XML_ERROR:
        return EINVAL;
    default:
        return EIO;
    }
}

static int
fail(struct err *e, const char *what)
{
    const virErrorPtr last = virGetLastError();

    return err_set(
        e, -errno_of(last != NULL ? last->code : VIR_ERR_OK), "%s: libvirt: %s", what,
        last != NULL && last->message != NULL ? last->message : "it gives no reason");
}

int
virt_open(const char *uri, struct err *e, struct virt **ret_v)
{
    struct virt *v = calloc(1, sizeof *v);

    if (v == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    virSetErrorFunc(NULL, say_nothing);
    v->conn = virConnectOpen(uri);
    if (v->conn == NULL) {
        free(v);
        return fail(e, uri != NULL ? uri : "the default URI");
    }
    *ret_v = v;
    return 0;
}

void
virt_close(struct virt *v)
{
    if (v != NULL) {
        (void)virConnectClose(v->conn); /* returns a count, no error that matters */
        free(v);
    }
}

int
virt_attach(struct virt *v, const char *domain, const char *disk_xml, struct err *e)
{
    virDomainPtr d = virDomainLookupByName(v->conn, domain);
    unsigned flags = VIR_DOMAIN_AFFECT_CONFIG;
    int rc = 0;

    if (d == NULL) {
        return fail(e, domain);
    }
    if (virDomainIsActive(d) == 1) {
        flags |= VIR_DOMAIN_AFFECT_LIVE;
    }
    if (virDomainAttachDeviceFlags(d, disk_xml, flags) < 0) {
        rc = fail(e, domain);
    }
    (void)virDomainFree(d);
    return rc;
}

int
virt_save(struct virt *v, const char *domain, const char *file, struct err *e)
{
    virDomainPtr dom = virDomainLookupByName(v->conn, domain);
    int rc = 0;

    if (dom == NULL) {
        return fail(e, domain);
    }
    if ((file != NULL ? virDomainSave(dom, file) : virDomainManagedSave(dom, 0)) < 0) {
        rc = fail(e, domain);
    }
    (void)virDomainFree(dom);
    return rc;
}

int
virt_memory_of(struct virt *v, const char *domain, struct err *e,
               unsigned long long *ret_kib)
{
    virDomainPtr d = virDomainLookupByName(v->conn, domain);
    virDomainInfo info;
    int rc = 0;

    if (d == NULL) {
        return fail(e, domain);
    }
    if (virDomainGetInfo(d, &info) < 0) {
        rc = fail(e, domain);
    } else {
        *ret_kib = info.memory;
    }
    (void)virDomainFree(d);
    return rc;
}

/* Free memory and caches in KiB; 0 when the host does not tell. */
static unsigned long long
stat_spare(virConnectPtr conn)
{
    virNodeMemoryStats stats[16];
    unsigned long long kib = 0;
    int nr = 0;

    if (virNodeGetMemoryStats(conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, NULL, &nr, 0) <
            0 ||
        nr > (int)(sizeof stats / sizeof stats[0]) ||
        virNodeGetMemoryStats(conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, stats, &nr, 0) <
            0) {
        return 0;
    }
    for (int i = 0; i < nr; i++) {
        if (strcmp(stats[i].field, VIR_NODE_MEMORY_STATS_FREE) == 0 ||
            strcmp(stats[i].field, VIR_NODE_MEMORY_STATS_BUFFERS) == 0 ||
            strcmp(stats[i].field, VIR_NODE_MEMORY_STATS_CACHED) == 0) {
            kib += stats[i].value;
        }
    }
    return kib;
}

int
virt_spare_memory(struct virt *v, struct err *e, unsigned long long *ret_kib)
{
    unsigned long long kib = stat_spare(v->conn);

    if (kib == 0) {
        kib = virNodeGetFreeMemory(v->conn) / 1024;
    }
    if (kib == 0) {
        return fail(e, "the host's free memory");
    }
    *ret_kib = kib;
    return 0;
}

int
virt_each(struct virt *v, virt_on_domain on_domain, void *opaque, struct err *e)
{
    virDomainPtr *domains = NULL;
    int nr = virConnectListAllDomains(v->conn, &domains, 0), rc = 0;

    if (nr < 0) {
        return fail(e, "the list of domains");
    }
    for (int i = 0; i < nr; i++) { /* after a failure the rest is only freed */
        char *xml = rc == 0 ? virDomainGetXMLDesc(domains[i], 0) : NULL;

        if (xml != NULL) { /* or the domain is gone by now */
            rc = on_domain(opaque, virDomainGetName(domains[i]),
                           virDomainIsActive(domains[i]) == 1, xml);
        }
        free(xml);
        (void)virDomainFree(domains[i]);
    }
    free(domains);
    return rc;
}

#define TICK_MS 200

struct migration {
    virDomainPtr domain;
    const char *dest;
    int done_fd; /* an eventfd, which the thread writes at its end */
    struct err err;
    int rc;
};

static void *
migrate_thread(void *arg)
{
    const unsigned flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER |
                           VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE;
    const eventfd_t one = 1;
    struct migration *m = arg;

    if (virDomainMigrateToURI3(m->domain, m->dest, NULL, 0, flags) < 0) {
        m->rc = fail(&m->err, virDomainGetName(m->domain)); /* errors are per thread */
    }
    (void)eventfd_write(m->done_fd, one); /* its counter is empty: cannot fail */
    return NULL;
}

/* Wait until the thread has ended. Was the migration aborted? */
static bool
attend(struct migration *m, virt_on_tick on_tick, void *opaque)
{
    bool is_aborted = false;
    struct pollfd p = {.fd = m->done_fd, .events = POLLIN};

    while (poll(&p, 1, TICK_MS) <= 0) {
        virDomainJobInfo info = {.dataRemaining = 0};

        (void)virDomainGetJobInfo(m->domain, &info); /* without it: 0 bytes left */
        if (on_tick(opaque, info.dataRemaining) && !is_aborted) {
            is_aborted = virDomainAbortJob(m->domain) == 0; /* else at the next tick */
        }
    }
    return is_aborted;
}

int
virt_migrate(struct virt *v, const char *domain, const char *dest, virt_on_tick on_tick,
             void *opaque, struct err *e)
{
    struct migration m = {.domain = virDomainLookupByName(v->conn, domain),
                          .dest = dest,
                          .done_fd = eventfd(0, EFD_CLOEXEC)};
    bool is_aborted = false;
    pthread_t thread;

    if (m.domain == NULL) {
        m.rc = fail(&m.err, domain);
    } else if (m.done_fd < 0 ||
               pthread_create(&thread, NULL, migrate_thread, &m) != 0) {
        m.rc = err_set(&m.err, -EAGAIN, "no thread for the migration");
    } else {
        is_aborted = attend(&m, on_tick, opaque);
        (void)pthread_join(thread, NULL); /* it has ended */
    }
    if (m.done_fd >= 0) {
        (void)close(m.done_fd);
    }
    if (m.domain != NULL) {
        (void)virDomainFree(m.domain);
    }
    *e = m.err;
    return m.rc < 0 && is_aborted ? -ECANCELED : m.rc;
}
