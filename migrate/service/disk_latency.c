/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk_latency.h"

#include <stdatomic.h>

#include "disk.h"

json_t *
disk_latency_json(struct disk *d)
{
    json_t *all = json_object();
    struct stack *stack = atomic_load_explicit(&d->stack, memory_order_acquire);

    for (unsigned op = 0; stack != NULL && op < REQ_NR_OPS; op++) {
        struct layer_latency lat;

        stack_latency(stack, op, &lat);
        if (lat.count > 0) {
            (void)json_object_set_new(
                all, req_op_name(op),
                json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "count",
                          (json_int_t)lat.count, "errors", (json_int_t)lat.errors,
                          "bytes", (json_int_t)lat.bytes, "p50_ns",
                          (json_int_t)lat.p50_ns, "p99_ns", (json_int_t)lat.p99_ns,
                          "p999_ns", (json_int_t)lat.p999_ns, "max_ns",
                          (json_int_t)lat.max_ns));
        }
    }
    return all;
}
