/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_keepalive.h - notice that the host of a peer has vanished. Internal to port/. */
#ifndef BATON_NBD_KEEPALIVE_H
#define BATON_NBD_KEEPALIVE_H

/* A peer whose host vanished sends nothing: data without acknowledgement and a silent
 * idle connection both count as lost after ms. Not TCP: nothing to do. */
void nbd_watch_peer(int fd, unsigned ms);

#endif
