/* SPDX-License-Identifier: BSD-3-Clause */
#include "breakpoint.h"

#ifdef BATON_BREAKPOINTS

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cleanup.h"

#define ACTION_SIZE 16

/* One a line: tests read the names from here. In the order of a handoff. */
static const char *const names[] = {
    /* the owner of a disk */
    "owner-preparing",   /* nothing done yet */
    "owner-asking",      /* flushed early, peer.prepare is due */
    "owner-answered",    /* peer.prepare was answered */
    "owner-prepared",    /* compared, channels connected */
    "owner-pausing",     /* prepared; peer.pause not sent yet */
    "owner-held",        /* gates closed */
    "owner-drained",     /* nothing in flight */
    "owner-flushed",     /* the device has flushed */
    "owner-committing",  /* too late for an abort; the record is not written */
    "owner-committed",   /* the record is written, the device still open */
    "owner-ejected-one", /* one device closed; of a group, not the others yet */
    "owner-ejected",     /* all devices closed */
    "owner-assigning",   /* peer.assign is due, the first time and again */
    "owner-asks-again",  /* it was not answered; after the back-off */
    "owner-told",        /* it was answered; gates still closed */
    "owner-following",   /* gates of one disk opened to the channel */
    "owner-replayed",    /* all queues are empty */
    "owner-resumed",     /* started again with a disk that is given away */
    "owner-aborting",    /* failed before the commit; gates still closed */
    "owner-cancelling",  /* gates open again, peer.cancel is due */
    "owner-refused",     /* the next owner refused; nothing taken back yet */
    "owner-relocked",    /* device open and locked again, no record of it */
    "owner-retaken",     /* the record is written, gates still closed */
    "unpark-locked",     /* device open and locked, no record of it */
    "unpark-owned",      /* the record is written, gates still closed */
    /* the next owner */
    "next-preparing", /* peer.prepare received */
    "next-opened",    /* device of one disk opened, not owned */
    "next-prepared",  /* no reply sent yet */
    "next-paused",    /* peer.pause done, no reply sent yet */
    "next-cancelled", /* peer.cancel done, no reply sent yet */
    "next-assigning", /* peer.assign received */
    "next-locked",    /* device of one disk locked, no record of it */
    "next-owned",     /* the record is durable */
    "next-opening",   /* gates of one disk open; of a group, not the others yet */
    "next-serving",   /* gates open, the giver notified; no durable record yet */
    "next-assigned",  /* all gates open, no reply sent yet */
    "next-refused",   /* refused, no reply sent yet */
    /* records, in every process that writes one */
    "record-written", /* temporary file written and fsynced */
    "record-renamed", /* renamed, folder not fsynced */
    "group-spread",   /* of a committed group one disk's file is written */
    "group-settled",  /* all are, and group.json is still there */
    /* who asks another service: the command, and an owner */
    "rpc-sent",         /* request sent, answer not read */
    "command-watching", /* the handoff has told its progress */
    "command-answered", /* nothing printed yet */
};

const char *
breakpoint_name(unsigned i)
{
    return i < sizeof names / sizeof names[0] ? names[i] : NULL;
}

static bool
is_known(const char *name)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* DIR/NAME with suffix; false when nothing can be armed. */
static bool
file_of(const char *name, const char *suffix, char *path)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment */
    const char *dir = getenv("BATON_BREAK_DIR");

    return dir != NULL &&
           snprintf(path, PATH_MAX, "%s/%s%s", dir, name, suffix) < PATH_MAX;
}

bool
breakpoint_is_set(const char *name)
{
    char path[PATH_MAX];

    return file_of(name, "", path) && access(path, F_OK) == 0;
}

/* Until the file is there. For ever if need be: the test that armed the point ends it.
 */
static void
await_file(const char *path)
{
    AUTO_FD int fd = inotify_init1(IN_CLOEXEC);
    char dir[PATH_MAX],
        events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    (void)snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    if (fd < 0 || inotify_add_watch(fd, dir, IN_CREATE | IN_MOVED_TO) < 0) {
        return; /* no instances left or no such folder: a test sees that it went on */
    }
    while (access(path, F_OK) < 0) {
        if (read(fd, events, sizeof events) < 0 && errno != EINTR) {
            return;
        }
    }
}

static void
read_action(const char *path, char *action)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, action, ACTION_SIZE - 1);

    action[n > 0 ? n : 0] = '\0';
    action[strcspn(action, "\n")] = '\0';
}

int
breakpoint_reach(const char *name)
{
    char armed[PATH_MAX], hit[PATH_MAX], go[PATH_MAX], action[ACTION_SIZE];

    assert(is_known(name));
    if (!file_of(name, "", armed) || !file_of(name, ".hit", hit) ||
        !file_of(name, ".go", go) || rename(armed, hit) < 0) {
        return 0;
    }
    read_action(hit, action);
    if (strcmp(action, "kill") == 0) {
        (void)kill(getpid(), SIGKILL); /* cannot fail */
    } else if (strcmp(action, "stop") == 0) {
        (void)kill(getpid(), SIGSTOP); /* cannot fail */
    } else if (strcmp(action, "wait") == 0) {
        await_file(go);
    } else if (strcmp(action, "fail") == 0) {
        return -EIO;
    }
    return 0;
}

#endif
