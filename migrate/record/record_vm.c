/* SPDX-License-Identifier: BSD-3-Clause */
#include "record_vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "record_dir.h"

#define VM_FILE_SIZE (NAME_MAX_LEN + sizeof RECORD_STORE_TMP ".vm")
#define UUID_LEN 36
#define STATE_SIZE 8

/* The second line. */
static const char *
state_of(const struct record_vm *vm)
{
    return vm->is_gone     ? "gone\n"
           : vm->is_reader ? "reads\n"
           : vm->is_shared ? "shares\n"
                           : "";
}

static int
write_line(struct record_dir *d, const char *file, const struct record_vm *vm)
{
    char line[sizeof vm->uuid + sizeof vm->name + 2 + STATE_SIZE];
    int len =
        snprintf(line, sizeof line, "%s %s\n%s", vm->uuid, vm->name, state_of(vm));
    int fd = d->io->create(d->io, d->disk_fd, file);
    ssize_t n;

    if (fd < 0) {
        return fd;
    }
    n = d->io->write(d->io, fd, line, (size_t)len);
    (void)close(fd); /* nobody counts on its being durable */
    return n == len ? 0 : n < 0 ? (int)n : -EIO;
}

int
record_vm_write(struct record_dir *d, const char *disk, const struct record_vm *vm,
                struct err *e)
{
    char file[VM_FILE_SIZE], tmp[VM_FILE_SIZE];
    int rc;
    LK_GUARD(&d->lock); /* two writers of one temporary file */

    (void)snprintf(file, sizeof file, "%s.vm", disk);
    (void)snprintf(tmp, sizeof tmp, RECORD_STORE_TMP "%s.vm", disk);
    if (vm->uuid[0] == '\0') {
        rc = d->io->unlink(d->io, d->disk_fd, file);
        rc = rc == -ENOENT ? 0 : rc;
    } else {
        rc = write_line(d, tmp, vm);
        if (rc == 0) {
            rc = d->io->rename(d->io, d->disk_fd, tmp, file);
        }
        if (rc < 0) {
            (void)d->io->unlink(d->io, d->disk_fd, tmp); /* the next open does it too */
        }
    }
    return rc < 0 ? err_set(e, rc, "state directory %s: disk/%s: %s", d->path, file,
                            err_text(NULL, rc))
                  : 0;
}

static bool
parse_state(const char *from, const char *end, struct record_vm *vm)
{
    const size_t len = (size_t)(end - from);
    const struct record_vm states[] = {{.is_gone = false},
                                       {.is_gone = true},
                                       {.is_reader = true},
                                       {.is_shared = true}};

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const char *text = state_of(&states[i]);

        if (strlen(text) == len && memcmp(text, from, len) == 0) {
            vm->is_gone = states[i].is_gone;
            vm->is_reader = states[i].is_reader;
            vm->is_shared = states[i].is_shared;
            return true;
        }
    }
    return false;
}

/* What text of len bytes says, if it is such a line. */
static bool
parse(const char *text, size_t len, struct record_vm *ret_vm)
{
    const char *end = memchr(text, '\n', len);
    struct record_vm vm = {.uuid = ""};
    size_t name_len;

    if (end == NULL || end < text + UUID_LEN + 1 || text[UUID_LEN] != ' ' ||
        memchr(text, '\0', len) != NULL) {
        return false;
    }
    name_len = (size_t)(end - text) - UUID_LEN - 1;
    if (name_len >= sizeof vm.name || !parse_state(end + 1, text + len, &vm)) {
        return false;
    }
    memcpy(vm.uuid, text, UUID_LEN);
    memcpy(vm.name, text + UUID_LEN + 1, name_len);
    *ret_vm = vm;
    return uuid_is_valid(vm.uuid);
}

void
record_vm_read(struct record_dir *d, const char *disk, struct record_vm *ret_vm)
{
    AUTO_FREE char *text = NULL;
    char file[VM_FILE_SIZE];
    struct err ignored = {{0}};
    struct record_vm vm;
    size_t len = 0;

    memset(ret_vm, 0, sizeof *ret_vm);
    (void)snprintf(file, sizeof file, "%s.vm", disk);
    if (record_store_read(d->disk_fd, file, &ignored, &text, &len) == 0 &&
        parse(text, len, &vm)) {
        *ret_vm = vm;
    }
}
