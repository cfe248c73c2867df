/* SPDX-License-Identifier: BSD-3-Clause */
/* What a disk's configuration says of waiting. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "config_parts.h"

int
config_set_on_hold(struct disk_config *d, const char *v, struct err *e)
{
    if (strcmp(v, "wait") != 0) {
        return err_set(e, -EINVAL,
                       "allowed: wait (or fail-after=DURATION in its place)");
    }
    d->fail_after_ns = CLOCK_NEVER;
    return 0;
}

int
config_set_fail_after(struct disk_config *d, const char *v, struct err *e)
{
    int rc = config_parse_duration(v, e, &d->fail_after_ns);

    if (rc == 0 && d->fail_after_ns == 0) {
        return err_set(e, -EINVAL,
                       "every handoff would fail requests; allowed: more than 0");
    }
    return rc;
}

/* Less than what the other side waits for an answer. */
int
config_set_appears_within(struct disk_config *d, const char *v, struct err *e)
{
    int rc = config_parse_duration(v, e, &d->appears_within_ns);

    if (rc == 0 && d->appears_within_ns > 20 * NS_PER_S) {
        return err_set(e, -EINVAL, "allowed: at most 20s");
    }
    return rc;
}
