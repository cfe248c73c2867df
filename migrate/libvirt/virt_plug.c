/* SPDX-License-Identifier: BSD-3-Clause */
/* A VM of libvirt. The disk is found by a user alias, ua-ID, which libvirt keeps in the
 * definition, in the running domain and in events. The definition is changed along with
 * the running domain, so that the VM starts again with the disks that it had. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "cleanup.h"
#include "clock.h"
#include "plug.h"
#include "virt_plug_xml.h"

#define ASK_AGAIN_NS (2 * NS_PER_S)

struct plug_virt {
    struct plug plug;
    char *uri; /* NULL: libvirt's default */
    char *domain;
    virConnectPtr conn;
    char awaited[VIRT_ALIAS_LEN]; /* of the device whose removal is awaited */
    enum { WAITING, REMOVED, REFUSED, TIMED_OUT } seen;
};

static struct plug_virt *
virt_of(struct plug *p)
{
    return (struct plug_virt *)p;
}

/* Without an error function of ours, libvirt prints its errors itself. */
static void
say_nothing(void *opaque, virErrorPtr error)
{
    (void)opaque;
    (void)error;
}

static int
fail(struct err *e, const struct plug_virt *p)
{
    const virErrorPtr last = virGetLastError();

    return err_set(e, last != NULL && last->code == VIR_ERR_NO_DOMAIN ? -ENOENT : -EIO,
                   "%s: libvirt: %s", p->domain,
                   last != NULL && last->message != NULL ? last->message
                                                         : "it gives no reason");
}

/* The domain; virDomainFree() it. */
static int
find(struct plug_virt *p, struct err *e, virDomainPtr *ret_domain)
{
    if (p->conn == NULL) {
        virSetErrorFunc(NULL, say_nothing);
        /* Events come by this process's loop, which has to be registered before the
         * connection is made. Registering it again does nothing. */
        if (virEventRegisterDefaultImpl() == 0) {
            p->conn = virConnectOpen(p->uri);
        }
    }
    *ret_domain = p->conn != NULL ? virDomainLookupByName(p->conn, p->domain) : NULL;
    return *ret_domain != NULL ? 0 : fail(e, p);
}

static int
look_at(struct plug_virt *p, virDomainPtr domain, const struct plug_device *d,
        struct err *e, enum plug_state *ret_state)
{
    const int is_active = virDomainIsActive(domain);
    AUTO_FREE char *xml = NULL;
    const char *at;
    char alias[VIRT_ALIAS_LEN];

    /* Not PLUG_GONE, which would mean that the file is closed: we do not know. */
    if (is_active < 0) {
        return fail(e, p);
    }
    *ret_state = PLUG_GONE;
    if (is_active == 0) {
        return 0;
    }
    xml = virDomainGetXMLDesc(domain, 0);
    if (xml == NULL) {
        return fail(e, p);
    }
    virt_plug_alias(d, alias);
    at = virt_plug_find_text(xml, "alias", "name", alias);
    *ret_state = at != NULL ? PLUG_IN : PLUG_OUT;
    if (at != NULL && !virt_plug_is_of_file(xml, at, d)) {
        return err_set(e, -EINVAL, "%s: its device %s is not %s", p->domain, d->id,
                       d->file);
    }
    return 0;
}

static int
virt_look(struct plug *plug, const struct plug_device *d, uint64_t deadline_ns,
          struct err *e, enum plug_state *ret_state)
{
    struct plug_virt *p = virt_of(plug);
    virDomainPtr domain;
    int rc = find(p, e, &domain);

    (void)deadline_ns; /* libvirt's calls have deadlines of their own */
    if (rc == 0) {
        rc = look_at(p, domain, d, e, ret_state);
        (void)virDomainFree(domain);
    }
    return rc;
}

/* The first target name that is free in the running domain and in its definition. */
static int
free_target(virDomainPtr domain, char target[4])
{
    AUTO_FREE char *now = virDomainGetXMLDesc(domain, 0);
    AUTO_FREE char *later = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    char letter = 'a';

    if (now == NULL || later == NULL) {
        return -EIO;
    }
    do {
        (void)snprintf(target, 4, "vd%c", letter);
    } while ((virt_plug_find_text(now, "target", "dev", target) != NULL ||
              virt_plug_find_text(later, "target", "dev", target) != NULL) &&
             letter++ < 'z');
    return letter <= 'z' ? 0 : -ENOSPC;
}

/* flags: whether to change the running domain or its definition. */
static int
attach_to(struct plug_virt *p, virDomainPtr domain, const struct plug_device *d,
          unsigned flags, struct err *e)
{
    char target[4];
    AUTO_FREE char *xml = NULL;
    int rc = free_target(domain, target);

    if (rc < 0) {
        return err_set(e, rc, "%s has no room for a disk", p->domain);
    }
    xml = virt_plug_disk_element(d, target);
    if (xml == NULL) {
        return err_set(e, -EINVAL, "%s cannot stand in a domain's XML", d->file);
    }
    return virDomainAttachDeviceFlags(domain, xml, flags) < 0 ? fail(e, p) : 0;
}

static bool
is_defined_with(virDomainPtr domain, const struct plug_device *d)
{
    AUTO_FREE char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    char alias[VIRT_ALIAS_LEN];

    virt_plug_alias(d, alias);
    return xml != NULL && virt_plug_find_text(xml, "alias", "name", alias) != NULL;
}

static int
virt_in(struct plug *plug, const struct plug_device *d, uint64_t deadline_ns,
        struct err *e)
{
    struct plug_virt *p = virt_of(plug);
    enum plug_state state = PLUG_GONE;
    virDomainPtr domain;
    int rc = find(p, e, &domain);

    (void)deadline_ns;
    if (rc < 0) {
        return rc;
    }
    rc = look_at(p, domain, d, e, &state);
    if (rc == 0 && state == PLUG_GONE) {
        rc = err_set(e, -ENOTCONN, "%s does not run", p->domain);
    } else if (rc == 0 && state != PLUG_IN) {
        rc = attach_to(p, domain, d, VIR_DOMAIN_AFFECT_LIVE, e);
    }
    /* Also if an earlier command did the first half. A failure is ignored, because the
     * running domain has the disk. */
    if (rc == 0 && virDomainIsPersistent(domain) == 1 && !is_defined_with(domain, d)) {
        struct err ignored;

        (void)attach_to(p, domain, d, VIR_DOMAIN_AFFECT_CONFIG, &ignored);
    }
    (void)virDomainFree(domain);
    return rc;
}

static void
on_removed(virConnectPtr conn, virDomainPtr domain, const char *alias, void *opaque)
{
    struct plug_virt *p = opaque;

    (void)conn;
    (void)domain;
    if (strcmp(alias, p->awaited) == 0) {
        p->seen = REMOVED;
    }
}

static void
on_refused(virConnectPtr conn, virDomainPtr domain, const char *alias, void *opaque)
{
    struct plug_virt *p = opaque;

    (void)conn;
    (void)domain;
    if (strcmp(alias, p->awaited) == 0) {
        p->seen = REFUSED;
    }
}

static void
on_timeout(int timer, void *opaque)
{
    struct plug_virt *p = opaque;

    (void)timer;
    if (p->seen == WAITING) {
        p->seen = TIMED_OUT;
    }
}

/* Run libvirt's loop until an event of the device has come, or until end_ns. */
static int
await_event(struct plug_virt *p, uint64_t end_ns, struct err *e)
{
    int timer = virEventAddTimeout(clock_poll_ms(end_ns), on_timeout, p, NULL);
    int rc = timer < 0 ? fail(e, p) : 0;

    p->seen = WAITING;
    while (rc == 0 && p->seen == WAITING) {
        if (virEventRunDefaultImpl() < 0) {
            rc = fail(e, p);
        }
    }
    if (timer >= 0) {
        (void)virEventRemoveTimeout(timer);
    }
    return rc;
}

/* Ask the guest again and again until the event has come, or until the disk is not in
 * the domain any more. */
static int
pull_out(struct plug_virt *p, virDomainPtr domain, const struct plug_device *d,
         uint64_t deadline_ns, struct err *e)
{
    enum plug_state state = PLUG_GONE;
    struct err why = {{0}};
    int rc;

    for (;;) {
        rc = look_at(p, domain, d, e, &state);
        if (rc < 0 || state != PLUG_IN) {
            return rc;
        }
        /* This returns when the guest was asked. It fails if the guest was asked before
         * and has not answered; then the event is due, too. */
        if (virDomainDetachDeviceAlias(domain, p->awaited, VIR_DOMAIN_AFFECT_LIVE) <
            0) {
            (void)fail(&why, p);
        }
        rc = await_event(p, clock_earlier(deadline_ns, clock_deadline_ns(ASK_AGAIN_NS)),
                         e);
        if (rc < 0) {
            return rc;
        }
        if (p->seen == REFUSED) {
            return err_set(e, -EBUSY, "%s refuses to let %s go", p->domain, d->id);
        }
        if (p->seen == TIMED_OUT && clock_now_ns() >= deadline_ns) {
            return err_set(
                e, -ETIMEDOUT, "%s was asked to let %s go and has not done so yet%s%s",
                p->domain, d->id, why.msg[0] != '\0' ? "; last, " : "", why.msg);
        }
    }
}

static int
with_events(struct plug_virt *p, virDomainPtr domain, const struct plug_device *d,
            uint64_t deadline_ns, struct err *e)
{
    int removed, refused, rc;

    virt_plug_alias(d, p->awaited);
    removed = virConnectDomainEventRegisterAny(
        p->conn, domain, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
        VIR_DOMAIN_EVENT_CALLBACK(on_removed), p, NULL);
    refused = virConnectDomainEventRegisterAny(
        p->conn, domain, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
        VIR_DOMAIN_EVENT_CALLBACK(on_refused), p, NULL);
    rc = removed < 0 || refused < 0 ? fail(e, p)
                                    : pull_out(p, domain, d, deadline_ns, e);

    if (removed >= 0) {
        (void)virConnectDomainEventDeregisterAny(p->conn, removed);
    }
    if (refused >= 0) {
        (void)virConnectDomainEventDeregisterAny(p->conn, refused);
    }
    return rc;
}

static int
virt_out(struct plug *plug, const struct plug_device *d, uint64_t deadline_ns,
         struct err *e)
{
    struct plug_virt *p = virt_of(plug);
    virDomainPtr domain = NULL;
    int rc = find(p, e, &domain);

    if (rc == 0) {
        rc = with_events(p, domain, d, deadline_ns, e);
    }
    if (rc == 0 && is_defined_with(domain, d)) {
        (void)virDomainDetachDeviceAlias(domain, p->awaited, VIR_DOMAIN_AFFECT_CONFIG);
    }
    if (domain != NULL) {
        (void)virDomainFree(domain);
    }
    return rc == -ENOENT ? 0 : rc; /* a transient domain that has ended */
}

static void
virt_plug_close(struct plug *plug)
{
    struct plug_virt *p = virt_of(plug);

    if (p->conn != NULL) {
        (void)virConnectClose(p->conn); /* returns a count, no error that matters */
    }
    free(p->uri);
    free(p->domain);
    free(p);
}

static const struct plug_ops virt_ops = {.name = "libvirt",
                                         .look = virt_look,
                                         .in = virt_in,
                                         .out = virt_out,
                                         .close = virt_plug_close};

int
virt_plug_open(const char *uri, const char *domain, struct err *e, struct plug **ret_p)
{
    struct plug_virt *p = calloc(1, sizeof *p);

    if (p != NULL) {
        p->plug.ops = &virt_ops;
        p->uri = uri != NULL ? strdup(uri) : NULL;
        p->domain = strdup(domain);
    }
    if (p == NULL || p->domain == NULL || (uri != NULL && p->uri == NULL)) {
        if (p != NULL) {
            virt_plug_close(&p->plug);
        }
        return err_set(e, -ENOMEM, "out of memory");
    }
    *ret_p = &p->plug;
    return 0;
}
