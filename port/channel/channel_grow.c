/* SPDX-License-Identifier: BSD-3-Clause */
/* How many lanes a link has: as many as its requests need, none while it rests.
 *
 * Each lane costs the owner a connection and, in nbdkit, 17 threads of which 16 work,
 * so that many lanes for each of many disks are more than a machine has. The request
 * that finds too many others in front of the lanes opens one more when it has its own
 * answer. The new lane has the number of the same link, so nothing is fenced and
 * nothing sent again. If the link has ended meanwhile the lane is dropped unused: it
 * carried nothing. */
#include <assert.h>

#include "channel.h"
#include "clock.h"

#define REQUESTS_A_LANE 4 /* one lane carries more, but slower than two do */
#define JOIN_NS NS_PER_S  /* an owner that needs longer has no time for more lanes */

bool
channel_has_to_grow(struct channel *c)
{
    struct channel_locked *l = channel_locked(c);

    if (l->state != CHANNEL_UP || l->is_growing || l->is_grown ||
        l->unacked.nr < REQUESTS_A_LANE * l->lanes->nr) {
        return false;
    }
    l->is_grown = !channel_lanes_may_grow(&c->route, l->lanes);
    l->is_growing = !l->is_grown;
    return l->is_growing;
}

/* lane is NULL when it could not be had; then the link stays as it is. Returns the
 * lane if it is of no use. */
static struct nbd_shared *
join(struct channel *c, struct nbd_shared *lane, uint64_t link)
{
    struct channel_locked *l;
    LK_GUARD(&c->lock);

    l = channel_locked(c);
    assert(l->is_growing);
    l->is_growing = false;
    if (l->state != CHANNEL_UP || l->nr_links != link) {
        return lane;
    }
    if (lane == NULL) {
        l->is_grown = true;
    } else {
        channel_lanes_join(l->lanes, lane);
    }
    return NULL;
}

void
channel_grow(struct channel *c)
{
    struct channel_lane_like like;
    struct nbd_shared *lane = NULL;
    uint64_t link;
    bool is_up;

    lk_acquire(&c->lock);
    link = channel_locked(c)->nr_links;
    is_up = channel_locked(c)->state == CHANNEL_UP;
    if (is_up) {
        like = channel_lane_like(&c->route, channel_locked(c)->lanes);
    }
    lk_release(&c->lock);
    if (is_up && channel_lane_open(&like, clock_deadline_ns(JOIN_NS), &lane) < 0) {
        lane = NULL;
    }
    nbd_shared_close(join(c, lane, link));
}

void
port_channel_rest(struct port *p)
{
    struct channel *c = (struct channel *)p;
    struct channel_lanes *lanes = NULL;
    struct channel_locked *l;

    lk_acquire(&c->lock);
    l = channel_locked(c);
    if (l->state == CHANNEL_UP && l->users == 0 && l->unacked.nr == 0) {
        lanes = l->lanes;
        l->lanes = NULL;
        l->nr_rests++;
        l->next_try_ns = 0;
        channel_set_state(c, CHANNEL_IDLE);
    }
    lk_release(&c->lock);
    channel_lanes_close(lanes);
}
