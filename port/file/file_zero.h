/* SPDX-License-Identifier: BSD-3-Clause */
/* file_zero.h - zero and trim, by the best means that kernel, file system and device
 * turn out to have. */
#ifndef BATON_FILE_ZERO_H
#define BATON_FILE_ZERO_H

#include <stdint.h>

#include "file_dev.h"

/* flags: REQ_F_MAY_TRIM, REQ_F_FAST. Not durable. -ENOTSUP: with FAST, and only writing
 * would do. */
int file_zero_range(struct file_dev *dev, uint64_t off, uint64_t len, uint32_t flags);

/* Not durable. 0 also when nothing can be trimmed. */
int file_zero_trim(struct file_dev *dev, uint64_t off, uint64_t len);

#endif
