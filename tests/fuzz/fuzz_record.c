/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of a state directory. The first byte of the input says of which kind, and
 * whether the rest is the file or a body that gets a checksum: nobody guesses one. */
#include <errno.h>
#include <stdbool.h>

#include <jansson.h>
#include <nettle/sha2.h>

#include "fuzz.h"
#include "record.h"
#include "record_json.h"

#define KIND_MASK 3 /* disk, group, service */
#define IS_BODY 4

/* The file whose body the text is, or NULL when it is no JSON. */
static char *
wrap_body(const char *body, size_t len)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    char hex[2 * SHA256_DIGEST_SIZE + 1], *text, *file = NULL;
    json_t *j = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    struct sha256_ctx ctx;

    text = j != NULL ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(j);
    if (text == NULL) {
        return NULL;
    }
    sha256_init(&ctx);
    sha256_update(&ctx, strlen(text), (const uint8_t *)text);
    sha256_digest(&ctx, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)sprintf(hex + 2 * i, "%02x", digest[i]);
    }
    FUZZ_CHECK(
        asprintf(&file, "{\"baton\":1,\"sha256\":\"%s\",\"body\":%s}", hex, text) > 0);
    free(text);
    return file;
}

static bool
is_same_record(const struct record *a, const struct record *b)
{
    bool is_same = strcmp(a->name, b->name) == 0 && strcmp(a->uuid, b->uuid) == 0 &&
                   strcmp(a->vm, b->vm) == 0 && a->role == b->role &&
                   a->epoch == b->epoch && a->handoff == b->handoff &&
                   memcmp(&a->info, &b->info, sizeof a->info) == 0 &&
                   strcmp(a->peer_name, b->peer_name) == 0 &&
                   strcmp(a->peer_control, b->peer_control) == 0 &&
                   a->nr_channels == b->nr_channels;

    for (unsigned i = 0; is_same && i < a->nr_channels; i++) {
        is_same = strcmp(a->channels[i], b->channels[i]) == 0;
    }
    return is_same;
}

/* With another byte somewhere it is refused, or says the same. */
static void
check_damage(const char *text, size_t at, const struct record *r, uint64_t stamp)
{
    char *damaged = strdup(text);
    struct err e = {.msg = ""};
    uint64_t other_stamp;
    struct record other;

    FUZZ_CHECK(damaged != NULL);
    damaged[at % strlen(text)] ^= 1;
    if (record_parse_disk(damaged, strlen(damaged), &e, &other, &other_stamp) == 0) {
        FUZZ_CHECK(is_same_record(r, &other) && stamp == other_stamp);
    }
    free(damaged);
}

static void
fuzz_disk(const char *text, size_t len)
{
    struct record r, untouched, again;
    uint64_t stamp = 7, stamp_again;
    struct err e = {.msg = ""};
    char *formatted;
    int rc;

    memset(&r, 0x5a, sizeof r);
    memset(&untouched, 0x5a, sizeof untouched);
    rc = record_parse_disk(text, len, &e, &r, &stamp);
    if (rc < 0) {
        FUZZ_CHECK(rc == -EBADMSG && stamp == 7);
        FUZZ_CHECK_REFUSAL(rc, &e);
        FUZZ_CHECK(memcmp(&r, &untouched, sizeof r) == 0);
        return;
    }
    FUZZ_CHECK(record_check(&r, &e) == 0);
    formatted = record_format_disk(&r, stamp);
    FUZZ_CHECK(formatted != NULL && strlen(formatted) < RECORD_FILE_MAX);
    FUZZ_CHECK(
        record_parse_disk(formatted, strlen(formatted), &e, &again, &stamp_again) == 0);
    FUZZ_CHECK(is_same_record(&r, &again) && stamp == stamp_again);
    check_damage(formatted, len * 7, &r, stamp);
    free(formatted);
}

static void
fuzz_group(const char *text, size_t len)
{
    static struct record records[GROUP_MAX_DISKS], again[GROUP_MAX_DISKS];
    uint64_t stamp = 7, stamp_again = 0;
    unsigned nr = 0, nr_again = 0;
    struct err e = {.msg = ""};
    char *formatted;
    int rc = record_parse_group(text, len, &e, records, &nr, &stamp);

    if (rc < 0) {
        FUZZ_CHECK(rc == -EBADMSG && nr == 0 && stamp == 7);
        FUZZ_CHECK_REFUSAL(rc, &e);
        return;
    }
    FUZZ_CHECK(nr >= 1 && nr <= GROUP_MAX_DISKS);
    formatted = record_format_group(records, nr, stamp);
    FUZZ_CHECK(formatted != NULL);
    FUZZ_CHECK(record_parse_group(formatted, strlen(formatted), &e, again, &nr_again,
                                  &stamp_again) == 0);
    FUZZ_CHECK(nr == nr_again && stamp == stamp_again);
    for (unsigned i = 0; i < nr; i++) {
        FUZZ_CHECK(is_same_record(&records[i], &again[i]));
    }
    free(formatted);
}

static void
fuzz_service(const char *text, size_t len)
{
    struct record_service s = {.incarnation = 7}, again;
    struct err e = {.msg = ""};
    char *formatted;
    int rc = record_parse_service(text, len, &e, &s);

    if (rc < 0) {
        FUZZ_CHECK(rc == -EBADMSG && s.incarnation == 7 && s.id[0] == '\0');
        FUZZ_CHECK_REFUSAL(rc, &e);
        return;
    }
    FUZZ_CHECK(uuid_is_valid(s.id) && s.incarnation <= RECORD_MAX_INCARNATION);
    formatted = record_format_service(&s);
    FUZZ_CHECK(formatted != NULL);
    FUZZ_CHECK(record_parse_service(formatted, strlen(formatted), &e, &again) == 0);
    FUZZ_CHECK(strcmp(s.id, again.id) == 0 && s.incarnation == again.incarnation);
    free(formatted);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(const char *, size_t) = {fuzz_disk, fuzz_group,
                                                          fuzz_service, fuzz_disk};
    char *text, *file;
    size_t len;

    if (size == 0) {
        return 0;
    }
    text = fuzz_text(data + 1, size - 1);
    len = size - 1;
    if ((data[0] & IS_BODY) != 0 && (file = wrap_body(text, len)) != NULL) {
        free(text);
        text = file;
        len = strlen(file);
    }
    kinds[data[0] & KIND_MASK](text, len);
    free(text);
    return 0;
}
