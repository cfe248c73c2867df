/* SPDX-License-Identifier: BSD-3-Clause */
/* port_mem.h - a device in memory, for tests and as the end of a fault port. */
#ifndef BATON_PORT_MEM_H
#define BATON_PORT_MEM_H

#include "port.h"

/* size bytes of zeroes. All capabilities but rotational. A request that overlaps a
 * concurrent one may tear at byte boundaries, like a disk. -ENOMEM. */
int port_mem_new(uint64_t size, struct port **ret_port);

#endif
