/* SPDX-License-Identifier: BSD-3-Clause */
/* The list and its file. */
#include "lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "log.h"
#include "record_dir.h"
#include "service.h"

#define MAX_LEASES 1024 /* of one disk: only what is shared has more than two */
#define LEASE_FILE_SIZE (NAME_MAX_LEN + sizeof RECORD_STORE_TMP ".lease")

static struct leases_locked *leases_locked(struct leases *ls) LK_REQUIRES(ls->lock);

static struct leases_locked *
leases_locked(struct leases *ls)
{
    return &ls->locked_;
}

json_t *
lease_to_json(const struct lease *l)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "vm_uuid", l->vm_uuid, "vm", l->vm,
                     "id", l->id, "service", l->service, "control", l->control,
                     "shared", l->is_shared);
}

static bool
take_text(char *to, size_t size, const char *from)
{
    return snprintf(to, size, "%s", from) < (int)size;
}

bool
lease_from_json(const json_t *j, struct lease *ret_l)
{
    const char *vm_uuid, *vm, *id, *service, *control;
    struct lease l = {.vm_uuid = ""};
    int is_shared;

    if (json_unpack((json_t *)j, "{s:s,s:s,s:s,s:s,s:s,s:b}", "vm_uuid", &vm_uuid, "vm",
                    &vm, "id", &id, "service", &service, "control", &control, "shared",
                    &is_shared) < 0 ||
        !(uuid_is_valid(vm_uuid) || strcmp(vm_uuid, LEASE_CLIENTS) == 0) ||
        !uuid_is_valid(id) || !name_is_valid(service) ||
        !take_text(l.control, sizeof l.control, control) ||
        !take_text(l.vm, sizeof l.vm, vm)) {
        return false;
    }
    (void)take_text(l.vm_uuid, sizeof l.vm_uuid, vm_uuid); /* checked above */
    (void)take_text(l.id, sizeof l.id, id);
    (void)take_text(l.service, sizeof l.service, service);
    l.is_shared = is_shared != 0;
    *ret_l = l;
    return true;
}

json_t *
lease_list(struct disk *d)
{
    json_t *list = json_array();
    LK_GUARD(&d->leases.lock);

    for (unsigned i = 0; i < leases_locked(&d->leases)->nr; i++) {
        (void)json_array_append_new(list,
                                    lease_to_json(&leases_locked(&d->leases)->all[i]));
    }
    return list;
}

static int
write_file(struct disk *d, const char *file, json_t *list, struct err *e)
{
    struct record_dir *dir = d->service->records;
    char *text = json_dumps(list, JSON_COMPACT);
    bool is_renamed;
    int rc;
    LK_GUARD(&dir->lock); /* two writers of one temporary file */

    if (text == NULL) {
        return -ENOMEM;
    }
    rc = json_array_size(list) > 0
             ? record_store_replace(dir->io, dir->disk_fd, file, text, e, &is_renamed)
             : dir->io->unlink(dir->io, dir->disk_fd, file);
    free(text);
    return rc == -ENOENT ? 0 : rc;
}

void
lease_save(struct disk *d)
{
    char file[LEASE_FILE_SIZE];
    struct err e = {{0}};
    json_t *list;
    int rc;
    LK_GUARD(&d->leases.save_lock);

    list = lease_list(d);
    (void)snprintf(file, sizeof file, "%s.lease", d->cfg->name);
    rc = write_file(d, file, list, &e);
    json_decref(list);
    if (rc < 0) {
        log_warn("who may write to %s will not be known after a restart: disk/%s: %s",
                 d->cfg->name, file, err_text(&e, rc));
    }
}

static bool
is_same(const struct lease *a, const struct lease *b)
{
    return strcmp(a->vm_uuid, b->vm_uuid) == 0 && strcmp(a->id, b->id) == 0;
}

static int
add_locked(struct leases *ls, const struct lease *l, bool *ret_is_new)
    LK_REQUIRES(ls->lock)
{
    struct leases_locked *k = leases_locked(ls);
    struct lease *all;

    for (unsigned i = 0; i < k->nr; i++) {
        if (is_same(&k->all[i], l)) {
            k->all[i] = *l;
            k->all[i].taken = ++k->nr_taken;
            *ret_is_new = false;
            return 0;
        }
    }
    all = k->nr < MAX_LEASES ? realloc(k->all, (k->nr + 1) * sizeof *all) : NULL;
    if (all == NULL) {
        return -ENOMEM;
    }
    k->all = all;
    k->all[k->nr] = *l;
    k->all[k->nr++].taken = ++k->nr_taken;
    *ret_is_new = true;
    return 0;
}

unsigned
lease_drop(struct disk *d, const char *vm_uuid, const char *id)
{
    struct leases_locked *k;
    unsigned nr = 0, nr_before;

    lk_acquire(&d->leases.lock);
    k = leases_locked(&d->leases);
    nr_before = k->nr;
    for (unsigned i = 0; i < nr_before; i++) {
        if ((vm_uuid != NULL && strcmp(k->all[i].vm_uuid, vm_uuid) != 0) ||
            (id != NULL && strcmp(k->all[i].id, id) != 0)) {
            k->all[nr++] = k->all[i];
        }
    }
    k->nr = nr;
    lk_release(&d->leases.lock);
    if (nr != nr_before) {
        lease_save(d);
    }
    return nr_before - nr;
}

bool
lease_find(struct disk *d, const struct lease *l, struct lease *ret_has)
{
    const struct leases_locked *k;
    LK_GUARD(&d->leases.lock);

    k = leases_locked(&d->leases);
    for (unsigned i = 0; i < k->nr; i++) {
        if (is_same(&k->all[i], l)) {
            *ret_has = k->all[i];
            return true;
        }
    }
    return false;
}

/* Between the question and its answer the VM may have been started again. */
void
lease_end(struct disk *d, const struct lease *has)
{
    struct leases_locked *k;
    bool is_there = false;

    lk_acquire(&d->leases.lock);
    k = leases_locked(&d->leases);
    for (unsigned i = 0; i < k->nr && !is_there; i++) {
        if (k->all[i].taken == has->taken) {
            k->all[i] = k->all[--k->nr];
            is_there = true;
        }
    }
    lk_release(&d->leases.lock);
    if (is_there) {
        lease_save(d);
    }
}

/* What is not whole, or what there is no memory for, is as not told. */
static void
replace_all(struct disk *d, const json_t *list)
{
    const json_t *j;
    bool is_new;
    size_t i;
    LK_GUARD(&d->leases.lock);

    leases_locked(&d->leases)->nr = 0;
    json_array_foreach(list, i, j)
    {
        struct lease l;

        if (lease_from_json(j, &l)) {
            (void)add_locked(&d->leases, &l, &is_new);
        }
    }
}

void
lease_adopt(struct disk *d, const json_t *list)
{
    if (!json_is_array(list)) {
        return; /* an older service says nothing */
    }
    replace_all(d, list);
    lease_save(d);
}

void
leases_open(struct disk *d)
{
    char file[LEASE_FILE_SIZE];
    struct err ignored = {{0}};
    char *text = NULL;
    size_t len = 0;
    json_t *list;

    lk_init(&d->leases.save_lock);
    lk_init(&d->leases.lock);
    (void)snprintf(file, sizeof file, "%s.lease", d->cfg->name);
    if (record_store_read(d->service->records->disk_fd, file, &ignored, &text, &len) <
        0) {
        return;
    }
    list = json_loadb(text, len, 0, NULL);
    free(text);
    replace_all(d, list);
    json_decref(list);
}

void
leases_close(struct disk *d)
{
    free(d->leases.locked_.all);
    lk_done(&d->leases.lock);
    lk_done(&d->leases.save_lock);
}

/* Does has, which is on the list, keep l out, as long as it is true? */
static bool
keeps_out(const struct lease *has, const struct lease *l, enum lease_how how)
{
    if (is_same(has, l) || how == LEASE_RUNS) {
        return false;
    }
    return strcmp(has->vm_uuid, l->vm_uuid) == 0 &&
                   strcmp(l->vm_uuid, LEASE_CLIENTS) != 0
               ? how != LEASE_EXPECTED
               : !has->is_shared || !l->is_shared;
}

int
lease_try_add(struct disk *d, const struct lease *l, enum lease_how how,
              struct lease *ret_has, bool *ret_is_new)
{
    LK_GUARD(&d->leases.lock);

    for (unsigned i = 0; i < leases_locked(&d->leases)->nr; i++) {
        const struct lease *has = &leases_locked(&d->leases)->all[i];

        if (keeps_out(has, l, how)) {
            *ret_has = *has;
            return -EPERM;
        }
    }
    return add_locked(&d->leases, l, ret_is_new);
}
