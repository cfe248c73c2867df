/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_xml.h - the <disk> element of a domain for a disk of a service, and the wrapper
 * of the emulator for a libvirt that cannot say how long QEMU is to wait for a server.
 */
#ifndef BATON_DISK_XML_H
#define BATON_DISK_XML_H

#include <stdbool.h>

struct disk_xml {
    const char *disk;     /* name of the export */
    const char *socket;   /* absolute path */
    const char *target;   /* "vda" */
    unsigned reconnect_s; /* 0: nothing is said of it */
    bool can_discard;     /* what the guest discards reaches the device */
    bool has_reconnect;   /* libvirt knows <reconnect delay=> of an NBD source */
};

/* Does the schema at path, which libvirt installs, have the delay? */
bool disk_xml_schema_has_delay(const char *path);

/* A new text; NULL: no memory. free(3) it. */
char *disk_xml_format(const struct disk_xml *d);

/* The script, for reconnect_s. The same. */
char *disk_xml_wrapper(unsigned reconnect_s);

#endif
