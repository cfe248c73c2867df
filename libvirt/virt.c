/* SPDX-License-Identifier: BSD-3-Clause */
#include "virt.h"

#include <errno.h>
#include <stdlib.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

struct virt {
    virConnectPtr conn;
};

/* libvirt prints its errors by itself unless it is given somebody to tell. */
static void
say_nothing(void *opaque, virErrorPtr error)
{
    (void)opaque;
    (void)error;
}

static int
fail(struct err *e, const char *what)
{
    const virErrorPtr last = virGetLastError();
    const int code = last != NULL ? last->code : VIR_ERR_OK;
    const int rc = code == VIR_ERR_NO_DOMAIN      ? -ENOENT
                   : code == VIR_ERR_NO_CONNECT   ? -ECONNREFUSED
                   : code == VIR_ERR_AUTH_FAILED  ? -EACCES
                   : code == VIR_ERR_SYSTEM_ERROR ? -ECONNREFUSED
                   : code == VIR_ERR_INVALID_ARG  ? -EINVAL
                   : code == VIR_ERR_XML_ERROR    ? -EINVAL
                                                  : -EIO;

    return err_set(e, rc, "%s: libvirt: %s", what,
                   last != NULL && last->message != NULL ? last->message : "no reason");
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
        return fail(e, uri != NULL ? uri : "its default connection");
    }
    *ret_v = v;
    return 0;
}

void
virt_close(struct virt *v)
{
    if (v != NULL) {
        (void)virConnectClose(v->conn); /* the count of what is left over */
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
virt_stored_xml(struct virt *v, const char *domain, struct err *e, char **ret_xml)
{
    virDomainPtr d = virDomainLookupByName(v->conn, domain);
    int rc = 0;

    if (d == NULL) {
        return fail(e, domain);
    }
    *ret_xml = virDomainGetXMLDesc(d, VIR_DOMAIN_XML_INACTIVE);
    if (*ret_xml == NULL) {
        rc = fail(e, domain);
    }
    (void)virDomainFree(d);
    return rc;
}

int
virt_each(struct virt *v, virt_on_domain on_domain, void *opaque, struct err *e)
{
    virDomainPtr *domains = NULL;
    int nr = virConnectListAllDomains(v->conn, &domains, 0), rc = 0;

    if (nr < 0) {
        return fail(e, "the list of domains");
    }
    for (int i = 0; i < nr; i++) {
        char *xml = rc == 0 ? virDomainGetXMLDesc(domains[i], 0) : NULL;

        if (xml != NULL) { /* or it is gone by now */
            rc = on_domain(opaque, virDomainGetName(domains[i]),
                           virDomainIsActive(domains[i]) == 1, xml);
        }
        free(xml);
        (void)virDomainFree(domains[i]);
    }
    free(domains);
    return rc;
}
