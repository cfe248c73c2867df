/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc_frame.h - lines of bounded length over a stream socket, and the checks that a
 * line has to pass before a JSON parser sees it. Shared by rpc_server and rpc_client.
 * Never raises SIGPIPE. A reader belongs to one thread at a time. */
#ifndef BATON_RPC_FRAME_H
#define BATON_RPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct rpc_frame_reader {
    int fd;     /* borrowed */
    size_t max; /* bytes of one line, newline included */
    char *buf;
    size_t size;       /* of buf; grows up to max */
    size_t begin, end; /* what was received and not yet handed out */
    size_t scanned;    /* begin..scanned has no newline */
};

void rpc_frame_reader_init(struct rpc_frame_reader *r, int fd, size_t max);
void rpc_frame_reader_done(struct rpc_frame_reader *r);

/* 1: *ret_line is a line without its newline, not terminated, lent until the next call.
 * 0: the other side has closed; an unfinished line is dropped. -EMSGSIZE: the line is
 * too long and its end unknown. -ETIMEDOUT, -ENOMEM, -errno of the socket. */
int rpc_frame_read(struct rpc_frame_reader *r, uint64_t deadline_ns,
                   const char **ret_line, size_t *ret_len);

/* Send all of it by deadline_ns. After an error an unknown part of it has been sent. */
int rpc_frame_write(int fd, const char *data, size_t len, uint64_t deadline_ns);

/* Send what the socket takes at once: the number of bytes, maybe 0, or -errno. */
ssize_t rpc_frame_write_some(int fd, const char *data, size_t len);

/* j as a line, newline included, to be freed by the caller. -EMSGSIZE: longer than max.
 * -ENOMEM. */
int rpc_frame_dump(const json_t *j, size_t max, char **ret_line, size_t *ret_len);

/* s as a JSON string; bytes that are not UTF-8 (a sentence may have been cut within a
 * character) become '?'. NULL: no memory. */
json_t *rpc_frame_text(const char *s);

#endif
