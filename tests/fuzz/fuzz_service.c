/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz_service.h"

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "disk.h"
#include "fuzz.h"

#define DISK_SIZE 65536

static char to_remove[64];

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void
remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* it may not be there */
}

static void
remove_at_exit(void)
{
    remove_tree(to_remove);
}

static void
set(struct service_config *c, const char *key, const char *value)
{
    struct err e = {.msg = ""};

    if (config_set(c, key, value, "fuzz", &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        abort();
    }
}

static void
add_disk(struct fuzz_service *f, char name, const char *options)
{
    char path[96], text[512];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%c", f->dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, DISK_SIZE) == 0);
    (void)close(fd);
    (void)snprintf(text, sizeof text, "name=%c,device=%s,%s", name, path, options);
    set(&f->config, "disk", text);
}

static void
start(struct fuzz_service *f)
{
    struct err e = {.msg = ""};

    if (service_new(&f->config, -1, &e, &f->service) < 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        abort();
    }
    fuzz_service_look(f, &f->fresh);
}

void
fuzz_service_start(struct fuzz_service *f)
{
    char text[128];

    /* In memory when possible: every record is synced. */
    (void)snprintf(f->dir, sizeof f->dir, "%s/baton-fuzz.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(f->dir) != NULL);
    (void)snprintf(to_remove, sizeof to_remove, "%s", f->dir);
    FUZZ_CHECK(atexit(remove_at_exit) == 0);
    service_config_init(&f->config);
    set(&f->config, "name", "fuzz");
    set(&f->config, "listen", "unix:/baton-fuzz/nbd");
    set(&f->config, "control", "unix:/baton-fuzz/ctl");
    (void)snprintf(text, sizeof text, "%s/state", f->dir);
    set(&f->config, "state-dir", text);
    add_disk(f, 'a', "vm=v,uuid=aaaaaaaa-0000-0000-0000-000000000000");
    add_disk(f, 'b', "vm=v,uuid=bbbbbbbb-0000-0000-0000-000000000000");
    add_disk(f, 'c', "role=standby");
    FUZZ_CHECK(config_complete(&f->config, NULL) == 0);
    start(f);
}

void
fuzz_service_restart(struct fuzz_service *f)
{
    service_free(f->service);
    remove_tree(f->config.state_dir);
    start(f);
}

void
fuzz_service_look(struct fuzz_service *f, struct fuzz_snapshot *ret_snapshot)
{
    memset(ret_snapshot, 0, sizeof *ret_snapshot);
    for (unsigned i = 0; i < FUZZ_NR_DISKS; i++) {
        struct disk *d = &f->service->disks[i];
        struct fuzz_disk *to = &ret_snapshot->disks[i];
        struct redir_status st = {.state = REDIR_QUIESCED};

        if (disk_redir(d) != NULL) {
            redir_status(disk_redir(d), &st);
        }
        /* A replay that has nothing to replay is as good as over. */
        to->state = st.state == REDIR_REPLAYING ? REDIR_OPEN : st.state;
        lk_acquire(&d->lock);
        memcpy(&to->record, &disk_locked(d)->rec, sizeof to->record);
        to->is_prepared = disk_locked(d)->incoming.port != NULL;
        to->refused_epoch = disk_locked(d)->rec.refused_epoch;
        ret_snapshot->is_claimed |= disk_locked(d)->claimed_for != NULL;
        lk_release(&d->lock);
    }
}
