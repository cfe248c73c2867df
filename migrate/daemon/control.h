/* SPDX-License-Identifier: BSD-3-Clause */
/* control.h - the methods of the control socket; docs/control-protocol.md. ctx is the
 * struct service. */
#ifndef BATON_CONTROL_H
#define BATON_CONTROL_H

#include "rpc.h"

extern const struct rpc_method control_methods[];

#endif
