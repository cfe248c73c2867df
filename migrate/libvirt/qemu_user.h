/* SPDX-License-Identifier: BSD-3-Clause */
/* qemu_user.h - the user that libvirt runs QEMU as, and what that user may open. */
#ifndef BATON_QEMU_USER_H
#define BATON_QEMU_USER_H

#include <sys/types.h>

#define QEMU_CONF "/etc/libvirt/qemu.conf"

struct qemu_user {
    char name[64];
    uid_t uid;
    gid_t gid;
};

/* Read libvirt's file at conf; what it does not say is as on Debian. -ENOENT: this host
 * has no such user. */
int qemu_user_find(const char *conf, struct qemu_user *ret_user);

/* May u connect to the socket? 1: yes. 0: no, and the sentence *ret_why, to be freed,
 * says why. -EPERM: only root can find out. Other -errno. */
int qemu_user_may_connect(const struct qemu_user *u, const char *socket,
                          char **ret_why);

#endif
