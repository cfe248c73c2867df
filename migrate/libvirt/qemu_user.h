/* SPDX-License-Identifier: BSD-3-Clause */
/* qemu_user.h - the user that libvirt runs QEMU as, and what it may open. */
#ifndef BATON_QEMU_USER_H
#define BATON_QEMU_USER_H

#include <sys/types.h>

#define QEMU_CONF "/etc/libvirt/qemu.conf"

struct qemu_user {
    char name[64];
    uid_t uid;
    gid_t gid;
};

/* Of libvirt's file at conf, or its defaults on Debian. -ENOENT: there is no such user
 * here. */
int qemu_user_find(const char *conf, struct qemu_user *ret_user);

/* May it connect to the socket? 1 yes; 0 no, with a sentence in *ret_why, free(3) it;
 * -EPERM: only root can tell; other -errno. */
int qemu_user_may_connect(const struct qemu_user *u, const char *socket,
                          char **ret_why);

#endif
