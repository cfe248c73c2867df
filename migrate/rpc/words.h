/* SPDX-License-Identifier: BSD-3-Clause */
/* words.h - what both sides of a call have to know: the command that asks, the service
 * that answers. */
#ifndef BATON_WORDS_H
#define BATON_WORDS_H

#define HANDOFF_ALL_TARGET "all"    /* as the target of a handoff: every disk here */
#define HANDOFF_ALL_MAX_PARALLEL 64 /* handoffs of these at the same time */

#define RECOVER_MAX_OTHERS 9 /* the record's peer, and those the caller names */
#define RECOVER_SENTENCE 768 /* bytes of one sentence about a recovery */

#endif
