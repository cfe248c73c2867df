/* SPDX-License-Identifier: BSD-3-Clause */
/* HMAC-SHA256 over the name up to the proof. The key is the text of the right, so that
 * it is the same for a service that reads it in a record. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include <nettle/base16.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>

#include "channel_name.h"

#define HEX "0123456789abcdef"
#define RIGHT_BYTES ((CHANNEL_RIGHT_SIZE - 1) / 2)
#define PROOF_MARK ";proof="

void
channel_right_new(char *ret_right)
{
    uint8_t bytes[RIGHT_BYTES];
    ssize_t n = getrandom(bytes, sizeof bytes, 0);

    assert(n == sizeof bytes); /* so few are never cut short, nor interrupted */
    base16_encode_update(ret_right, sizeof bytes, bytes);
    ret_right[CHANNEL_RIGHT_SIZE - 1] = '\0';
}

bool
channel_right_is_valid(const char *s)
{
    return strlen(s) == CHANNEL_RIGHT_SIZE - 1 &&
           strspn(s, HEX) == CHANNEL_RIGHT_SIZE - 1;
}

static void
prove(const struct channel_name *n, const char *right, char *ret_proof)
{
    struct hmac_sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char text[CHANNEL_NAME_MAX];
    const char *end;

    static_assert(BASE16_ENCODE_LENGTH(SHA256_DIGEST_SIZE) == CHANNEL_PROOF_SIZE - 1,
                  "a proof has room for a digest");
    (void)channel_name_format(n, text); /* the length up to the proof is wanted */
    end = strstr(text, PROOF_MARK);
    assert(end != NULL);
    hmac_sha256_set_key(&ctx, strlen(right), (const uint8_t *)right);
    hmac_sha256_update(&ctx, (size_t)(end - text), (const uint8_t *)text);
    hmac_sha256_digest(&ctx, sizeof digest, digest);
    base16_encode_update(ret_proof, sizeof digest, digest);
    ret_proof[CHANNEL_PROOF_SIZE - 1] = '\0';
}

void
channel_name_prove(struct channel_name *n, const char *right)
{
    char proof[CHANNEL_PROOF_SIZE];

    n->proof[0] = '\0';
    prove(n, right, proof);
    memcpy(n->proof, proof, sizeof n->proof);
}

bool
channel_name_is_proved(const struct channel_name *n, const char *right)
{
    char proof[CHANNEL_PROOF_SIZE];

    assert(channel_right_is_valid(right));
    prove(n, right, proof);
    return memeql_sec(proof, n->proof, sizeof proof - 1) != 0;
}

int
channel_name_shown(const char *name)
{
    const char *mark = strstr(name, PROOF_MARK);

    return (int)(mark != NULL ? (size_t)(mark - name) : strlen(name));
}
