/* SPDX-License-Identifier: BSD-3-Clause */
/* virt_plug_xml.h - private to virt_plug.c: a disk in a domain's XML, as text. */
#ifndef BATON_VIRT_PLUG_XML_H
#define BATON_VIRT_PLUG_XML_H

#include <stdbool.h>

#include "plug.h"

#define VIRT_ALIAS_LEN (PLUG_MAX_ID + 4)

/* The alias by which libvirt knows the device. */
void virt_alias(const struct plug_device *d, char alias[VIRT_ALIAS_LEN]);

/* Where the XML has this element with this first attribute, as libvirt writes it; NULL.
 */
const char *virt_find_text(const char *xml, const char *element, const char *attribute,
                           const char *value);

/* Is the disk whose alias is here in the XML the device's file? */
bool virt_is_of_file(const char *xml, const char *alias, const struct plug_device *d);

/* free(3) it. NULL: the file's name cannot stand in XML, or there is no memory. */
char *virt_disk_element(const struct plug_device *d, const char *target);

#endif
