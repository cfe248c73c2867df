/* SPDX-License-Identifier: BSD-3-Clause */
#include "json_depth.h"

bool
json_depth_exceeds(const char *text, size_t len, unsigned max)
{
    bool is_in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (is_in_string) {
            if (c == '\\') {
                i++; /* whatever it is, it does not end the string */
            } else if (c == '"') {
                is_in_string = false;
            }
        } else if (c == '"') {
            is_in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max) {
                return true;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}
