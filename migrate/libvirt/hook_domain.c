/* SPDX-License-Identifier: BSD-3-Clause */
/* libvirtd has checked the XML, but the owner of a VM wrote parts of it. So no entities
 * are replaced, nothing is loaded, and libxml2's own limits of depth and size stay in
 * force. */
#include "hook_domain.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

static bool
is_named(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

/* The first element of this name among n and its following siblings; NULL. */
static xmlNode *
next_named(xmlNode *n, const char *name)
{
    while (n != NULL && !is_named(n, name)) {
        n = n->next;
    }
    return n;
}

static xmlNode *
child(const xmlNode *n, const char *name)
{
    return n != NULL ? next_named(n->children, name) : NULL;
}

static bool
has_value(xmlNode *n, const char *attribute, const char *value)
{
    xmlChar *text = xmlGetNoNsProp(n, (const xmlChar *)attribute);
    bool is_same = text != NULL && strcmp((const char *)text, value) == 0;

    xmlFree(text);
    return is_same;
}

/* The next element in the order of the text, within top; NULL. */
static xmlNode *
next_within(xmlNode *n, const xmlNode *top)
{
    if (n->children != NULL) {
        return n->children;
    }
    while (n != NULL && n != top && n->next == NULL) {
        n = n->parent;
    }
    return n == NULL || n == top ? NULL : n->next;
}

/* The next <source> of an NBD export in a disk, after n; NULL. There may be one in the
 * disk itself, in its backing stores, in a mirror, and wherever a later libvirt puts
 * it.
 */
static xmlNode *
next_source(xmlNode *n, const xmlNode *disk)
{
    do {
        n = next_within(n, disk);
    } while (n != NULL && !(is_named(n, "source") && has_value(n, "protocol", "nbd")));
    return n;
}

/* The <host> of a <source> with the path of a unix socket; NULL for another transport.
 */
static xmlNode *
unix_host(const xmlNode *source)
{
    xmlNode *host = child(source, "host");

    return host != NULL && has_value(host, "transport", "unix") &&
                   xmlHasProp(host, (const xmlChar *)"socket")
               ? host
               : NULL;
}

static bool
is_backing(const xmlNode *source, const xmlNode *disk)
{
    const xmlNode *n = source;

    while (n != disk && !is_named(n, "backingStore")) {
        n = n->parent;
    }
    return n != disk;
}

static enum hook_use
use_of(xmlNode *disk, const xmlNode *source)
{
    return is_backing(source, disk) || has_value(disk, "device", "cdrom") ||
                   child(disk, "readonly") != NULL
               ? HOOK_READS
           : child(disk, "shareable") != NULL ? HOOK_SHARES
                                              : HOOK_WRITES;
}

static char *
take_attribute(xmlNode *n, const char *name)
{
    xmlChar *text = xmlGetNoNsProp(n, (const xmlChar *)name);
    char *copy = strdup(text != NULL ? (const char *)text : "");

    xmlFree(text);
    return copy;
}

static int
open_xml(const char *xml, size_t len, struct err *e, xmlDoc **ret_doc,
         xmlNode **ret_root)
{
    xmlDoc *doc = len <= HOOK_MAX_XML
                      ? xmlReadMemory(xml, (int)len, "domain.xml", NULL, OPTIONS)
                      : NULL;
    xmlNode *root = doc != NULL ? xmlDocGetRootElement(doc) : NULL;

    if (root == NULL || !is_named(root, "domain")) {
        xmlFreeDoc(doc);
        return err_set(e, -EINVAL, "standard input is not the XML of a domain");
    }
    *ret_doc = doc;
    *ret_root = root;
    return 0;
}

static int
take_source(xmlNode *disk, xmlNode *source, struct hook_domain *dom, struct err *e)
{
    xmlNode *host = unix_host(source);
    struct hook_disk *d;

    if (host == NULL) {
        free(dom->net);
        dom->net = take_attribute(source, "name");
        dom->nr_net++;
        return 0;
    }
    if (dom->nr == HOOK_MAX_DISKS) {
        return err_set(e, -E2BIG, "more than %d NBD disks", HOOK_MAX_DISKS);
    }
    if ((dom->nr & (dom->nr - 1)) == 0) { /* full, or empty */
        d = realloc(dom->disks, (dom->nr > 0 ? 2 * dom->nr : 1) * sizeof *d);
        if (d == NULL) {
            return err_set(e, -ENOMEM, "out of memory");
        }
        dom->disks = d;
    }
    d = &dom->disks[dom->nr++];
    d->name = take_attribute(source, "name");
    d->socket = take_attribute(host, "socket");
    d->use = use_of(disk, source);
    d->is_backing = is_backing(source, disk);
    return d->name != NULL && d->socket != NULL ? 0
                                                : err_set(e, -ENOMEM, "out of memory");
}

static int
take_disk(xmlNode *disk, struct hook_domain *dom, struct err *e)
{
    xmlNode *source = next_source(disk, disk);
    int rc = 0;

    for (; source != NULL && rc == 0; source = next_source(source, disk)) {
        rc = take_source(disk, source, dom, e);
    }
    return rc;
}

/* <qemu:commandline><qemu:arg value='...'/>... */
static int
take_arguments(const xmlNode *root, struct hook_domain *dom, struct err *e)
{
    xmlNode *arg = child(child(root, "commandline"), "arg");
    size_t len;
    FILE *f = arg != NULL ? open_memstream(&dom->arguments, &len) : NULL;

    for (; f != NULL && arg != NULL; arg = next_named(arg->next, "arg")) {
        char *value = take_attribute(arg, "value");

        (void)fprintf(f, "%s\n", value != NULL ? value : "");
        free(value);
    }
    return f != NULL && fclose(f) != 0 ? err_set(e, -ENOMEM, "out of memory") : 0;
}

static void
take_uuid(const xmlNode *root, struct hook_domain *dom)
{
    xmlNode *n = child(root, "uuid");
    xmlChar *text = n != NULL ? xmlNodeGetContent(n) : NULL;

    (void)snprintf(dom->uuid, sizeof dom->uuid, "%s", text != NULL ? (char *)text : "");
    xmlFree(text);
}

int
hook_domain_parse(const char *xml, size_t len, struct err *e,
                  struct hook_domain *ret_dom)
{
    xmlNode *root = NULL, *disk;
    xmlDoc *doc = NULL;
    int rc = open_xml(xml, len, e, &doc, &root);

    if (rc < 0) {
        return rc;
    }
    memset(ret_dom, 0, sizeof *ret_dom);
    take_uuid(root, ret_dom);
    rc = take_arguments(root, ret_dom, e);
    disk = child(child(root, "devices"), "disk");
    for (; disk != NULL && rc == 0; disk = next_named(disk->next, "disk")) {
        rc = take_disk(disk, ret_dom, e);
    }
    xmlFreeDoc(doc);
    if (rc < 0) {
        hook_domain_done(ret_dom);
    }
    return rc;
}

void
hook_domain_done(struct hook_domain *dom)
{
    for (unsigned i = 0; i < dom->nr; i++) {
        free(dom->disks[i].name);
        free(dom->disks[i].socket);
    }
    free(dom->disks);
    free(dom->net);
    free(dom->arguments);
    memset(dom, 0, sizeof *dom);
}

/* Did the source change? */
static bool
map_source(const xmlNode *source, const struct hook_map *map)
{
    xmlNode *host = unix_host(source);
    xmlChar *from =
        host != NULL ? xmlGetNoNsProp(host, (const xmlChar *)"socket") : NULL;
    const char *to = from != NULL ? map->to(map->opaque, (const char *)from) : NULL;
    bool is_changed =
        to != NULL && strcmp((const char *)from, to) != 0 &&
        xmlSetProp(host, (const xmlChar *)"socket", (const xmlChar *)to) != NULL;

    xmlFree(from);
    return is_changed;
}

static bool
map_disk(xmlNode *disk, const struct hook_map *map)
{
    xmlNode *source = next_source(disk, disk);
    bool is_changed = false;

    for (; source != NULL; source = next_source(source, disk)) {
        is_changed = map_source(source, map) || is_changed;
    }
    return is_changed;
}

static int
print(xmlDoc *doc, struct err *e, char **ret_xml, size_t *ret_len)
{
    xmlChar *text = NULL;
    int len = 0;

    xmlDocDumpMemory(doc, &text, &len);
    *ret_xml = text != NULL ? strndup((const char *)text, (size_t)len) : NULL;
    *ret_len = (size_t)len;
    xmlFree(text);
    return *ret_xml != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int
hook_domain_rewrite(const char *xml, size_t len, const struct hook_map *map,
                    struct err *e, char **ret_xml, size_t *ret_len)
{
    bool is_changed = false;
    xmlNode *root = NULL, *disk;
    xmlDoc *doc = NULL;
    int rc = open_xml(xml, len, e, &doc, &root);

    if (rc < 0) {
        return rc;
    }
    disk = child(child(root, "devices"), "disk");
    for (; disk != NULL; disk = next_named(disk->next, "disk")) {
        is_changed = map_disk(disk, map) || is_changed;
    }
    *ret_xml = NULL;
    *ret_len = 0;
    if (is_changed) {
        rc = print(doc, e, ret_xml, ret_len);
    }
    xmlFreeDoc(doc);
    return rc;
}
