/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define MAX_SCHEMA (1024 * 1024)

/* The schema defines an element's attributes between <element ...> and </element>. */
bool
disk_xml_schema_has_delay(const char *path)
{
    AUTO_FILE FILE *f = fopen(path, "re");
    AUTO_FREE char *text = f != NULL ? calloc(1, MAX_SCHEMA) : NULL;
    char *element, *end;

    if (text == NULL || fread(text, 1, MAX_SCHEMA - 1, f) == 0) {
        return false;
    }
    element = strstr(text, "<element name=\"reconnect\">");
    end = element != NULL ? strstr(element, "</element>") : NULL;
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    return strstr(element, "\"delay\"") != NULL;
}

/* Write s as the value of an attribute in single quotes. */
static void
put_attribute(FILE *f, const char *s)
{
    for (; *s != '\0'; s++) {
        switch (*s) {
        case '&':
            (void)fputs("&amp;", f);
            break;
        case '<':
            (void)fputs("&lt;", f);
            break;
        case '\'':
            (void)fputs("&apos;", f);
            break;
        default:
            (void)fputc(*s, f);
            break;
        }
    }
}

char *
disk_xml_format(const struct disk_xml *d)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL) {
        return NULL;
    }
    (void)fprintf(f,
                  "<disk type='network' device='disk'>\n"
                  "  <driver name='qemu' type='raw' cache='none'%s/>\n"
                  "  <source protocol='nbd' name='",
                  d->can_discard ? " discard='unmap'" : "");
    put_attribute(f, d->disk);
    (void)fputs("'>\n    <host transport='unix' socket='", f);
    put_attribute(f, d->socket);
    (void)fputs("'/>\n", f);
    if (d->reconnect_s > 0 && d->has_reconnect) {
        (void)fprintf(f, "    <reconnect delay='%u'/>\n", d->reconnect_s);
    }
    (void)fputs("  </source>\n  <target dev='", f);
    put_attribute(f, d->target);
    (void)fprintf(f, "' bus='%s'/>\n</disk>\n",
                  strncmp(d->target, "sd", 2) == 0 ? "scsi" : "virtio");
    return fclose(f) == 0 ? text : (free(text), NULL);
}

/* libvirt gives QEMU's -blockdev JSON objects. The driver is an object's first member,
 * so the script knows the NBD nodes by their beginning. */
char *
disk_xml_wrapper(unsigned reconnect_s)
{
    char *text = NULL;

    if (asprintf(
            &text,
            "#!/bin/bash\n"
            "# The <emulator> of domains whose disks Baton serves: a service that\n"
            "# restarts is a pause, not an I/O error.\n"
            "args=()\n"
            "for arg in \"$@\"; do\n"
            "    case $arg in\n"
            "    '{\"driver\":\"nbd\",'*)\n"
            "        "
            "arg=\"{\\\"driver\\\":\\\"nbd\\\",\\\"reconnect-delay\\\":%u,${arg#*,}\" "
            ";;\n"
            "    esac\n"
            "    args+=(\"$arg\")\n"
            "done\n"
            "exec /usr/bin/qemu-system-x86_64 \"${args[@]}\"\n",
            reconnect_s) < 0) {
        return NULL;
    }
    return text;
}
