/* SPDX-License-Identifier: BSD-3-Clause */
/* virt_plug_xml.h (virt_plug_*) - private to virt_plug.c: a disk in a domain's XML, as
 * text. */
#ifndef BATON_VIRT_PLUG_XML_H
#define BATON_VIRT_PLUG_XML_H

#include <stdbool.h>

#include "plug.h"

#define VIRT_ALIAS_LEN (PLUG_MAX_ID + 4)

/* The alias by which libvirt knows the device. */
void virt_plug_alias(const struct plug_device *d, char alias[VIRT_ALIAS_LEN]);

/* Find an element by its first attribute, in the form in which libvirt writes it; NULL.
 */
const char *virt_plug_find_text(const char *xml, const char *element,
                                const char *attribute, const char *value);

/* alias is a place in xml. Has the disk with that alias the device's file? */
bool virt_plug_is_of_file(const char *xml, const char *alias,
                          const struct plug_device *d);

/* The <disk> element, to be freed. NULL: the file's name cannot stand in XML, or there
 * is no memory. */
char *virt_plug_disk_element(const struct plug_device *d, const char *target);

#endif
