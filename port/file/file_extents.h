/* SPDX-License-Identifier: BSD-3-Clause */
/* file_extents.h - where a file has data. */
#ifndef BATON_FILE_EXTENTS_H
#define BATON_FILE_EXTENTS_H

#include <stdbool.h>

#include "file_dev.h"

/* Can it say where its holes are? */
bool file_extents_are_known(const struct file_dev *dev);

/* Perform rq, a REQ_EXTENTS. -EIO: the file became shorter. */
int file_extents_report(const struct file_dev *dev, const struct req *rq);

#endif
