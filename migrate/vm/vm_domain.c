/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_domain.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "service.h"
#include "socket_path.h"

#define MAX_DISKS 1024 /* of a domain */

static bool
is_listener(const struct service *s, const char *socket)
{
    for (unsigned i = 0; i < s->cfg->nr_listen; i++) {
        if (s->cfg->listen[i].kind == URI_UNIX &&
            socket_path_is_same(s->cfg->listen[i].path, socket)) {
            return true;
        }
    }
    return false;
}

static int
parse_use(const char *text, enum vm_use *ret_use)
{
    static const char *const names[] = {
        [VM_WRITES] = "write", [VM_READS] = "read", [VM_SHARES] = "share"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_use = i;
            return 0;
        }
    }
    return -EINVAL;
}

/* The same export may be a disk and a part of another one: what can do the most counts.
 */
static int
note_disk(struct domain *dom, struct disk *d, const char *socket, enum vm_use use,
          struct err *e)
{
    for (unsigned i = 0; i < dom->nr; i++) {
        if (dom->disks[i] == d) {
            dom->uses[i] =
                use == VM_WRITES || dom->uses[i] == VM_READS ? use : dom->uses[i];
            return 0;
        }
    }
    if (dom->nr == GROUP_MAX_DISKS) {
        return err_set(e, -E2BIG, "more than %d disks", GROUP_MAX_DISKS);
    }
    dom->disks[dom->nr] = d;
    dom->uses[dom->nr] = use;
    dom->sockets[dom->nr++] = socket;
    return 0;
}

static int
add_disk(struct service *s, json_t *item, struct domain *dom, struct err *e)
{
    const char *name, *socket, *use_text = "write";
    enum vm_use use = VM_WRITES;
    struct disk *d;

    if (json_unpack_ex(item, NULL, JSON_STRICT, "{s:s,s:s,s?s}", "name", &name,
                       "socket", &socket, "use", &use_text) != 0 ||
        parse_use(use_text, &use) < 0) {
        return err_set(e, -EBADMSG,
                       "malformed disk: name, socket and use (write, read, share) "
                       "expected");
    }
    if (!is_listener(s, socket)) {
        return 0; /* another server's */
    }
    d = name[0] == '\0' && s->nr_disks == 1 ? &s->disks[0] : service_find_disk(s, name);
    if (d == NULL) {
        return err_set(e, -ENOENT, "%s serves no disk \"%.64s\"", s->cfg->name, name);
    }
    return note_disk(dom, d, socket, use, e);
}

/* libvirt lets it be nearly anything; it is for log lines. */
static void
take_name(const char *vm, char *buf)
{
    (void)snprintf(buf, VM_NAME_LEN, "%s", vm);
    for (; *buf != '\0'; buf++) {
        if (iscntrl((unsigned char)*buf)) {
            *buf = '?';
        }
    }
}

int
vm_domain_parse(struct service *s, json_t *params, struct err *e,
                struct domain *ret_dom)
{
    struct domain dom = {.nr = 0};
    const char *vm;
    json_t *list, *item;
    size_t i;

    if (json_unpack(params, "{s:s,s:s,s:o}", "vm", &vm, "uuid", &dom.uuid, "disks",
                    &list) != 0 ||
        vm[0] == '\0' || !uuid_is_valid(dom.uuid) || !json_is_array(list) ||
        json_array_size(list) > MAX_DISKS) {
        return err_set(e, -EBADMSG, "malformed call: vm, uuid and disks expected");
    }
    take_name(vm, dom.vm);
    json_array_foreach(list, i, item)
    {
        int rc = add_disk(s, item, &dom, e);

        if (rc < 0) {
            return rc;
        }
    }
    *ret_dom = dom;
    return 0;
}
