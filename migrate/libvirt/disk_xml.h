/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_xml.h - the <disk> element of a domain for a disk of a service, and a wrapper of
 * the emulator, for a libvirt that cannot tell QEMU how long to wait for a server. */
#ifndef BATON_DISK_XML_H
#define BATON_DISK_XML_H

#include <stdbool.h>

struct disk_xml {
    const char *disk;     /* name of the export */
    const char *socket;   /* absolute path */
    const char *target;   /* "vda" */
    unsigned reconnect_s; /* how long QEMU waits for the server; 0: left out */
    bool can_discard;     /* the guest's discards reach the device */
    bool has_reconnect;   /* libvirt knows <reconnect delay=> of an NBD source */
};

/* Does the schema at path, which libvirt installs, have the delay? */
bool disk_xml_schema_has_delay(const char *path);

/* free(3) the text. NULL: no memory. */
char *disk_xml_format(const struct disk_xml *d);

/* The text of the wrapper, a script. The same. */
char *disk_xml_wrapper(unsigned reconnect_s);

#endif
