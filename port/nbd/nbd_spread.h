/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_spread.h - which of several connections a thread uses. Internal to port/. */
#ifndef BATON_NBD_SPREAD_H
#define BATON_NBD_SPREAD_H

/* Spread threads over nr > 0 connections: always the same one of them for a thread. */
unsigned nbd_spread(unsigned nr);

#endif
