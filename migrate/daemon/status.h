/* SPDX-License-Identifier: BSD-3-Clause */
/* status.h - what a service says of itself; the fields are those of "status --json". */
#ifndef BATON_STATUS_H
#define BATON_STATUS_H

#include <jansson.h>

#include "err.h"
#include "service.h"

/* All disks, or the one that is named. -ENOENT when it is not there. */
int status_report(struct service *s, const char *disk_name, struct err *e,
                  json_t **ret_report);

#endif
