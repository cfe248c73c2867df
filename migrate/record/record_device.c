/* SPDX-License-Identifier: BSD-3-Clause */
#include "record_device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "record_dir.h"

#define FILE_SIZE (NAME_MAX_LEN + sizeof ".device")
#define HEADER "baton-device 1"

static char *
format(const struct record_device *dev)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL) {
        return NULL;
    }
    (void)fprintf(f,
                  HEADER "\nuuid %s\nepoch %" PRIu64 "\nclosed %" PRIu64 "\nname %s\n",
                  dev->uuid, dev->epoch, dev->closed, dev->name);
    for (unsigned i = 0; i < IDENTITY_SAMPLES && dev->has_samples; i++) {
        (void)fprintf(f, "sample %s\n", dev->samples[i]);
    }
    (void)fprintf(f, "end\n");
    if (fclose(f) != 0) { /* no memory */
        free(text);
        return NULL;
    }
    return text;
}

static int
replace(struct record_dir *d, const char *file, const char *text)
{
    char tmp[FILE_SIZE + sizeof RECORD_STORE_TMP];
    int fd, rc;
    ssize_t n;

    (void)snprintf(tmp, sizeof tmp, RECORD_STORE_TMP "%s", file);
    fd = d->io->create(d->io, d->disk_fd, tmp);
    if (fd < 0) {
        return fd;
    }
    n = d->io->write(d->io, fd, text, strlen(text));
    (void)close(fd); /* nobody counts on its being durable */
    rc = n == (ssize_t)strlen(text) ? 0 : n < 0 ? (int)n : -EIO;
    if (rc == 0) {
        rc = d->io->rename(d->io, d->disk_fd, tmp, file);
    }
    if (rc < 0) {
        (void)d->io->unlink(d->io, d->disk_fd, tmp); /* the next open does it too */
    }
    return rc;
}

int
record_device_write(struct record_dir *d, const char *disk,
                    const struct record_device *dev, struct err *e)
{
    AUTO_FREE char *text = format(dev);
    char file[FILE_SIZE];
    int rc = -ENOMEM;

    (void)snprintf(file, sizeof file, "%s.device", disk);
    if (text != NULL) {
        lk_acquire(&d->lock); /* two writers of one temporary file */
        rc = replace(d, file, text);
        lk_release(&d->lock);
    }
    return rc < 0 ? err_set(e, rc, "state directory %s: disk/%s: %s", d->path, file,
                            err_text(NULL, rc))
                  : 0;
}

int
record_device_remove(struct record_dir *d, const char *disk, struct err *e)
{
    char file[FILE_SIZE];
    int rc;

    (void)snprintf(file, sizeof file, "%s.device", disk);
    rc = d->io->unlink(d->io, d->disk_fd, file);
    if (rc == -ENOENT) {
        return 0;
    }
    if (rc == 0) {
        rc = d->io->fsync(d->io, d->disk_fd);
    }
    return rc < 0 ? err_set(e, rc, "state directory %s: disk/%s: %s", d->path, file,
                            err_text(NULL, rc))
                  : 0;
}

/* The rest of the next line if it begins so; NULL. */
static char *
take_line(char **rest, const char *key)
{
    char *line = *rest;
    size_t len = strlen(key);

    if (line == NULL || strncmp(line, key, len) != 0 || strchr(line, '\n') == NULL) {
        return NULL;
    }
    (void)strsep(rest, "\n");
    return line + len;
}

static bool
take_number(char **rest, const char *key, uint64_t *ret_n)
{
    char *text = take_line(rest, key), *end = NULL;

    *ret_n = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && end != text && *end == '\0';
}

static bool
take_text(char **rest, const char *key, char *buf, size_t size)
{
    char *text = take_line(rest, key);

    return text != NULL && snprintf(buf, size, "%s", text) < (int)size;
}

void
record_device_read(struct record_dir *d, const char *disk,
                   struct record_device *ret_dev)
{
    AUTO_FREE char *text = NULL;
    struct record_device dev = {.epoch = 0};
    struct err ignored = {{0}};
    char file[FILE_SIZE], *rest;
    size_t len = 0;
    bool is_good;

    memset(ret_dev, 0, sizeof *ret_dev);
    (void)snprintf(file, sizeof file, "%s.device", disk);
    if (record_store_read(d->disk_fd, file, &ignored, &text, &len) < 0) {
        return;
    }
    text[len] = '\0'; /* there is room for it */
    rest = text;
    is_good = take_line(&rest, HEADER) != NULL &&
              take_text(&rest, "uuid ", dev.uuid, sizeof dev.uuid) &&
              take_number(&rest, "epoch ", &dev.epoch) &&
              take_number(&rest, "closed ", &dev.closed) &&
              take_text(&rest, "name ", dev.name, sizeof dev.name);
    dev.has_samples = is_good && rest != NULL && strncmp(rest, "sample ", 7) == 0;
    for (unsigned i = 0; i < IDENTITY_SAMPLES && is_good && dev.has_samples; i++) {
        is_good = take_text(&rest, "sample ", dev.samples[i], sizeof dev.samples[i]);
    }
    if (is_good && take_line(&rest, "end") != NULL) {
        *ret_dev = dev;
    }
}
