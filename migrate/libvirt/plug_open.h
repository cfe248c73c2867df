/* SPDX-License-Identifier: BSD-3-Clause */
/* plug_open.h - the VM (plug.h) that a text of the command line names. */
#ifndef BATON_PLUG_OPEN_H
#define BATON_PLUG_OPEN_H

#include "plug.h"

/* text: "qmp:PATH" or "libvirt:[URI#]DOMAIN". -EINVAL and what is allowed. Nothing is
 * connected before the first plug_*() call. plug_close() it. */
int plug_open(const char *text, struct err *e, struct plug **ret_p);

#endif
