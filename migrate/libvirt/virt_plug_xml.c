/* SPDX-License-Identifier: BSD-3-Clause */
#include "virt_plug_xml.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

void
virt_plug_alias(const struct plug_device *d, char alias[VIRT_ALIAS_LEN])
{
    (void)snprintf(alias, VIRT_ALIAS_LEN, "ua-%s", d->id);
}

const char *
virt_plug_find_text(const char *xml, const char *element, const char *attribute,
                    const char *value)
{
    char text[64];

    (void)snprintf(text, sizeof text, "<%s %s='%s'", element, attribute, value);
    return strstr(xml, text);
}

/* In libvirt's XML the source comes before the alias. A path that is written with an
 * entity is not from virt_plug_disk_element(), so it need not be understood. */
bool
virt_plug_is_of_file(const char *xml, const char *alias, const struct plug_device *d)
{
    static const char *const sources[] = {"<source file='", "<source dev='"};
    const char *disk = xml;
    char path[PATH_MAX];

    for (const char *at = strstr(xml, "<disk "); at != NULL && at < alias;
         at = strstr(at + 1, "<disk ")) {
        disk = at;
    }
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        const char *at = strstr(disk, sources[i]);

        if (at != NULL && at < alias) {
            at += strlen(sources[i]);
            (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(at, "'"), at);
            return plug_is_file(d, path);
        }
    }
    return false;
}

char *
virt_plug_disk_element(const struct plug_device *d, const char *target)
{
    char alias[VIRT_ALIAS_LEN], *xml;

    virt_plug_alias(d, alias);
    if (strpbrk(d->file, "<>&'\"") != NULL ||
        asprintf(&xml,
                 "<disk type='%s' device='disk'>"
                 "<driver name='qemu' type='raw' discard='unmap'/>"
                 "<source %s='%s'/><target dev='%s' bus='virtio'/>%s"
                 "<serial>%s</serial><alias name='%s'/></disk>",
                 d->is_block ? "block" : "file", d->is_block ? "dev" : "file", d->file,
                 target, d->is_shared ? "<shareable/>" : "", d->id, alias) < 0) {
        return NULL;
    }
    return xml;
}
