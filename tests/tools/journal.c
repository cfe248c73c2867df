/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "stamp.h"

static int
write_sector(FILE *to, struct hist *h, uint64_t sector)
{
    struct hist_cand *v AUTO_FREE = NULL;
    bool is_torn = false;
    size_t nr = 0;
    int rc = hist_possible(h, sector, &v, &nr);

    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < nr; i++) {
        is_torn = is_torn || v[i].acked == HIST_NEVER;
    }
    (void)fprintf(to, "%" PRIu64 " %s", sector, is_torn ? "torn" : "whole");
    for (size_t i = 0; i < nr; i++) {
        if (v[i].kind == HIST_WRITE) {
            (void)fprintf(to, " %u:%" PRIu64, v[i].writer, v[i].seq);
        } else {
            (void)fputs(" z", to);
        }
    }
    (void)fputc('\n', to); /* errors of all of these stick to the stream */
    return 0;
}

int
journal_write(const char *path, struct hist *h, struct err *e)
{
    const struct hist_params *p = hist_params(h);
    FILE *to = fopen(path, "we");
    int rc = 0;

    if (to == NULL) {
        return err_set(e, -errno, "%s: cannot be written", path);
    }
    (void)fprintf(to, "stampcheck-journal 1 %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                  p->run, p->first_sector, p->nr_sectors);
    for (uint64_t s = 0; rc == 0 && s < p->nr_sectors; s++) {
        rc = write_sector(to, h, s);
    }
    if (rc == 0 && (fflush(to) != 0 || fsync(fileno(to)) < 0)) {
        rc = -errno;
    }
    if (fclose(to) != 0 && rc == 0) {
        rc = -errno;
    }
    return rc < 0 ? err_set(e, rc, "%s: journal not written", path) : 0;
}

/* Candidate contents, one after the other, as the line lists them. */
struct line {
    uint64_t sector;
    bool is_torn;
    unsigned char *contents;
    size_t nr;
};

static int
add_content(struct line *line, const char *word, const struct stamp_id *where)
{
    struct stamp_id id = *where;
    unsigned char *at;

    at = realloc(line->contents, (line->nr + 1) * STAMP_SECTOR);
    if (at == NULL) {
        return -ENOMEM;
    }
    line->contents = at;
    at += line->nr++ * STAMP_SECTOR;
    if (strcmp(word, "z") == 0) {
        memset(at, 0, STAMP_SECTOR);
        return 0;
    }
    if (sscanf(word, "%" SCNu32 ":%" SCNu64, &id.writer, &id.seq) != 2) {
        return -EINVAL;
    }
    stamp_fill(at, &id);
    return 0;
}

static int
parse_line(char *text, const struct stamp_id *first, struct line *line)
{
    char *rest = NULL, *word = strtok_r(text, " \n", &rest), *end = NULL;
    struct stamp_id where = *first;
    int rc = 0;

    if (word == NULL) {
        return -EINVAL;
    }
    line->sector = strtoull(word, &end, 10);
    where.sector += line->sector;
    word = strtok_r(NULL, " \n", &rest);
    if (*end != '\0' || word == NULL) {
        return -EINVAL;
    }
    line->is_torn = strcmp(word, "torn") == 0;
    line->nr = 0;
    while (rc == 0 && (word = strtok_r(NULL, " \n", &rest)) != NULL) {
        rc = add_content(line, word, &where);
    }
    return rc;
}

static bool
is_explained(const struct line *line, const unsigned char *found)
{
    unsigned char explained[STAMP_SECTOR] = {0};

    for (size_t i = 0; i < line->nr; i++) {
        const unsigned char *content = line->contents + i * STAMP_SECTOR;

        if (memcmp(content, found, STAMP_SECTOR) == 0) {
            return true;
        }
        for (size_t k = 0; k < STAMP_SECTOR; k++) {
            explained[k] |= (unsigned char)(content[k] == found[k]);
        }
    }
    return line->nr == 0 ||
           (line->is_torn && memchr(explained, 0, STAMP_SECTOR) == NULL);
}

static int
refuse(const struct line *line, const struct stamp_id *first, const void *found,
       const char *journal_line, struct err *e)
{
    struct stamp_id expect = *first, id;
    enum stamp_kind kind;
    char text[200];

    expect.sector += line->sector;
    kind = stamp_read(found, &expect, &id);
    stamp_text(text, sizeof(text), kind, found, &id);
    return err_set(e, -EILSEQ, "disk sector %" PRIu64 " holds %s; the journal says: %s",
                   expect.sector, text, journal_line);
}

static int
verify_line(int fd, char *text, const struct stamp_id *first, struct line *line,
            struct err *e)
{
    char *copy AUTO_FREE = strdup(text);
    unsigned char found[STAMP_SECTOR];
    off_t at;
    int rc;

    if (copy == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    copy[strcspn(copy, "\n")] = '\0';
    rc = parse_line(text, first, line);
    if (rc < 0) {
        return err_set(e, rc, "journal: wrong line \"%s\"", copy);
    }
    at = (off_t)((first->sector + line->sector) * STAMP_SECTOR);
    if (pread(fd, found, sizeof(found), at) != (ssize_t)sizeof(found)) {
        return err_set(e, -EIO, "device: cannot read at %jd", (intmax_t)at);
    }
    return is_explained(line, found) ? 0 : refuse(line, first, found, copy, e);
}

int
journal_verify(const char *path, const char *device, uint64_t *ret_checked,
               struct err *e)
{
    FILE *from AUTO_FILE = fopen(path, "re");
    int fd AUTO_FD = open(device, O_RDONLY | O_CLOEXEC);
    struct line line = {.nr = 0};
    struct stamp_id first = {.seq = 0};
    char *text AUTO_FREE = NULL;
    uint64_t nr = 0, checked = 0;
    size_t size = 0;
    int rc = 0;

    if (from == NULL || fd < 0) {
        return err_set(e, -ENOENT, "cannot open %s", from == NULL ? path : device);
    }
    if (fscanf(from, "stampcheck-journal 1 %" SCNu64 " %" SCNu64 " %" SCNu64 "\n",
               &first.run, &first.sector, &nr) != 3) {
        return err_set(e, -EINVAL, "%s is not a journal", path);
    }
    while (rc == 0 && getline(&text, &size, from) > 0) {
        rc = verify_line(fd, text, &first, &line, e);
        checked++;
    }
    free(line.contents);
    if (rc == 0 && checked != nr) {
        return err_set(e, -EINVAL, "%s ends after %" PRIu64 " of %" PRIu64 " sectors",
                       path, checked, nr);
    }
    *ret_checked = checked;
    return rc;
}
