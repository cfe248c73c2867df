/* SPDX-License-Identifier: BSD-3-Clause */
/* tls.h - TLS of control connections. A stream has a thread that carries bytes between
 * the TLS connection and a socket pair, so that whoever uses it has a plain socket.
 * Both sides prove who they are, by certificate or pre-shared key. Any thread. */
#ifndef BATON_TLS_H
#define BATON_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "tls_peer.h"
#include "tls_settings.h"
#include "urgency.h"

struct tls_stream;

/* Can everything be loaded that a server (is_server) and a client need? Says which file
 * is at fault; also for a certificate of our own that has expired. -EINVAL; 0 too when
 * TLS is not on. */
int tls_check(const struct tls_settings *t, bool is_server, struct err *e);

/* The handshake over fd, by deadline_ns. fd (connected, borrowed) stays open until
 * tls_stream_close() and is of no other use but shutdown(2). Files are read anew each
 * time, so new certificates need no restart.
 * -EACCES: the other side is not who it has to be, or takes us for somebody that it
 * does not know; -EPROTO: no TLS; -ETIMEDOUT; e says why. */
int tls_accept(const struct tls_settings *t, int fd, uint64_t deadline_ns,
               struct err *e, struct tls_stream **ret_stream);
/* host is what the server's certificate has to be made for. */
int tls_connect(const struct tls_settings *t, int fd, const char *host,
                uint64_t deadline_ns, struct err *e, struct tls_stream **ret_stream);

/* The plain socket; belongs to the stream. */
int tls_stream_fd(const struct tls_stream *s);
const struct tls_peer *tls_stream_peer(const struct tls_stream *s);

/* Of the stream's thread, from when it next has something to carry. A stream of
 * tls_connect() begins with URGENCY_STALL, of tls_accept() with URGENCY_NORMAL: there
 * the other side chose to connect. */
void tls_stream_set_urgency(struct tls_stream *s, enum urgency u);

/* What has ended the stream from the other side, or NULL when nothing is known. A
 * client's handshake ends before the server has judged it: its no arrives later. */
const char *tls_stream_trouble(const struct tls_stream *s);

/* Send what was written, for a second at most, and say goodbye. NULL is accepted. */
void tls_stream_close(struct tls_stream *s);

#endif
