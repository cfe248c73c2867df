/* SPDX-License-Identifier: BSD-3-Clause */
/* What a person reads at night: whole sentences, and what may be lost said as loss. */
#include "recover_words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define NO_TAKE "--take is refused in this state"
#define SAY(buf, ...) say(buf, sizeof(buf), __VA_ARGS__)

/* A device's error may be long; then the end of the sentence is cut. */
static void say(char *buf, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
say(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(buf, size, fmt, ap);
    va_end(ap);
}

static const char *
name_of(const struct owner_word *o)
{
    if (o == NULL || o->kind == WORD_NOBODY) {
        return "the last owner";
    }
    return o->service[0] != '\0' ? o->service : o->uri;
}

/* NOLINTBEGIN(readability-function-size): a sentence for each state */
static void
say_means(const struct recover_facts *f, const struct owner_word *o,
          struct recover_verdict *v)
{
    const char *disk = f->rec.name, *us = f->service, *them = name_of(o);
    const uint64_t theirs = o != NULL ? o->epoch : 0;

    switch (v->state) {
    case RECOVER_OWNER:
        SAY(v->means,
            "%s is owned and served by %s at epoch %" PRIu64
            ": there is nothing to recover",
            disk, us, f->rec.epoch);
        return;
    case RECOVER_CONTESTED:
        SAY(v->means,
            "%s is claimed by two services: by %s at epoch %" PRIu64
            " and by %s at epoch %" PRIu64 "; the claim of %s is out of date",
            disk, us, f->rec.epoch, them, theirs, theirs >= f->rec.epoch ? us : them);
        return;
    case RECOVER_SERVED_ELSEWHERE:
        SAY(v->means,
            "%s is owned at epoch %" PRIu64
            " by %s, which answers: there is nothing to recover",
            disk, theirs, them);
        return;
    case RECOVER_CONVERGING:
        SAY(v->means,
            "a handoff of %s between %s and %s is being finished, and both "
            "are up: there is nothing to recover",
            disk, us, them);
        return;
    case RECOVER_MOVED_ON:
        SAY(v->means, "%s knows more than %s: %s went to %s at epoch %" PRIu64, them,
            us, disk, o->owner[0] != '\0' ? o->owner : "another service", theirs);
        return;
    case RECOVER_PARKED:
        SAY(v->means, "%s is parked at %s: nobody owns it, nothing is lost", disk,
            f->rec.role == ROLE_PARKED ? us : them);
        return;
    case RECOVER_UNKNOWN_HERE:
        SAY(v->means,
            "%s has never owned %s: nothing here shows that its device is "
            "that disk",
            us, disk);
        return;
    case RECOVER_DEVICE_MISSING:
        SAY(v->means, "%s does not own %s and cannot open its device: %s", us, disk,
            f->device_why);
        return;
    case RECOVER_DEVICE_DIFFERS:
        SAY(v->means, "the device that %s has for %s is not that disk: %s", us, disk,
            f->device_why);
        return;
    case RECOVER_IN_USE:
        SAY(v->means, "no service that answers owns %s, but its device %s", disk,
            f->lock_why);
        return;
    case RECOVER_LOST_THERE:
        SAY(v->means,
            "%s was given to %s, which answers and has no record of owning it: its "
            "records are lost or are others",
            disk, them);
        return;
    case RECOVER_NEXT_OWNER_SILENT:
        SAY(v->means,
            "%s was given at epoch %" PRIu64
            " to %s, which has not confirmed it and does not answer: it may "
            "own the disk or not",
            disk, f->rec.epoch, them);
        return;
    case RECOVER_OWNER_SILENT:
        SAY(v->means, "%s was owned by %s, which does not answer: nobody serves it",
            disk, them);
        return;
    }
}
/* NOLINTEND(readability-function-size) */

static void
say_by_itself(const struct recover_facts *f, const struct owner_word *o,
              struct recover_verdict *v)
{
    const char *them = name_of(o);

    switch (v->state) {
    case RECOVER_OWNER:
    case RECOVER_SERVED_ELSEWHERE:
    case RECOVER_PARKED:
    case RECOVER_UNKNOWN_HERE:
    case RECOVER_MOVED_ON:
        SAY(v->by_itself, "nothing changes");
        return;
    case RECOVER_CONTESTED:
        SAY(v->by_itself,
            "the service with the older claim stops serving the disk when it "
            "is started again and reaches the other; until then the device's "
            "lock keeps one of them out, if they share a host");
        return;
    case RECOVER_CONVERGING:
        SAY(v->by_itself,
            "%s goes on asking until the other answers; one of them is the "
            "owner soon",
            f->is_asking ? f->service : them);
        return;
    case RECOVER_LOST_THERE:
        SAY(v->by_itself,
            "%s holds what its clients send and tries again for ever; if %s has the "
            "disk in its configuration, it is made the owner when %s is started again",
            f->service, them, f->service);
        return;
    case RECOVER_DEVICE_MISSING:
    case RECOVER_DEVICE_DIFFERS:
    case RECOVER_IN_USE:
    case RECOVER_NEXT_OWNER_SILENT:
    case RECOVER_OWNER_SILENT:
        SAY(v->by_itself,
            "if %s comes back with its records it is the owner again and all "
            "that was held is done, in order; until then %s holds what its "
            "clients send",
            them, f->service);
        return;
    }
}

static void
say_take(const struct recover_facts *f, const char *them, struct recover_verdict *v)
{
    const char *unlocked = f->lock == LOCK_NONE
                               ? "; an NBD server keeps no locks, so nothing else "
                                 "keeps the other service out"
                               : "";

    if (f->mate != NULL) {
        SAY(v->take,
            NO_TAKE ": %s was given together with %s; take all disks of the "
                    "VM at once: baton recover vm:%s --take",
            f->rec.name, f->mate, f->rec.vm);
    } else if (v->next_epoch == 0) {
        SAY(v->take, NO_TAKE ": there is no epoch left");
    } else if (v->state == RECOVER_OWNER) {
        SAY(v->take, "--take reports this and changes nothing");
    } else if (!v->may_take) {
        SAY(v->take, NO_TAKE);
    } else {
        SAY(v->take,
            "%s becomes the owner at epoch %" PRIu64
            "; writes that were acknowledged by the other side and not flushed may be "
            "lost, if its machine is gone and not only its process; if %s is alive "
            "after all, on another host and cut off, both write and the disk is "
            "damaged: make sure that it is dead%s",
            f->service, v->next_epoch, them, unlocked);
    }
}

static void
say_elsewhere(const struct recover_facts *f, const struct owner_word *o,
              struct recover_verdict *v)
{
    const char *them = name_of(o);

    switch (v->state) {
    case RECOVER_OWNER:
        SAY(v->elsewhere, "not needed");
        return;
    case RECOVER_CONTESTED:
        SAY(v->elsewhere,
            "stop the service with the older claim now, and the VMs that use "
            "the disk through it: what they wrote there and what the other "
            "wrote do not fit together");
        return;
    case RECOVER_SERVED_ELSEWHERE:
    case RECOVER_CONVERGING:
        SAY(v->elsewhere,
            "to have the disk here, hand it over: baton handoff %s --from %s --to "
            "the control URI of %s",
            f->rec.name, o != NULL ? o->uri : "URI", f->service);
        return;
    case RECOVER_MOVED_ON:
        SAY(v->elsewhere, "ask at %s: baton recover %s --at %s", them, f->rec.name,
            o->uri);
        return;
    case RECOVER_PARKED:
        SAY(v->elsewhere, "own it again where it is parked: baton unpark %s%s%s",
            f->rec.name, f->rec.role == ROLE_PARKED ? "" : " --at ",
            f->rec.role == ROLE_PARKED ? "" : o->uri);
        return;
    case RECOVER_UNKNOWN_HERE:
        SAY(v->elsewhere,
            "recover at a service that has owned the disk; if there is none, "
            "start one with a new state directory and role=owner");
        return;
    case RECOVER_DEVICE_MISSING:
    case RECOVER_DEVICE_DIFFERS:
        SAY(v->elsewhere, "give %s the right device, or start %s again", f->service,
            them);
        return;
    case RECOVER_IN_USE:
        SAY(v->elsewhere,
            "see which process holds the lock; if it is %s, which hangs, end that "
            "process and start it again",
            them);
        return;
    case RECOVER_LOST_THERE:
    case RECOVER_NEXT_OWNER_SILENT:
    case RECOVER_OWNER_SILENT:
        SAY(v->elsewhere,
            "start %s again with its state directory and device, if that is possible: "
            "that loses no more than a crash of its process does",
            them);
        return;
    }
}

void
recover_words(const struct recover_facts *f, const struct owner_word *o,
              struct recover_verdict *v)
{
    say_means(f, o, v);
    say_by_itself(f, o, v);
    SAY(v->wait, v->may_take ? "nothing is lost by waiting; VMs stand still, and "
                               "those with a time-out may give up"
                             : "waiting loses nothing");
    if (v->state == RECOVER_CONTESTED) {
        SAY(v->wait, "each write that is done meanwhile makes it worse");
    }
    say_take(f, name_of(&f->others[0]), v);
    say_elsewhere(f, o, v);
}
