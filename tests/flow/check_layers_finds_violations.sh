#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctest: LABELS check
# scripts/check_layers accepts a clean tree and names each kind of violation.
. "$(dirname "$0")/lib.sh"
check=$(cd "$(dirname "$0")/../../scripts" && pwd)/check_layers

clean_tree() {
    rm -rf "$T/tree"
    mkdir -p "$T"/tree/{base,port/nbd,redirector,stack/nbdkit,migrate/{config,service},tests/unit}
    cd "$T/tree" || exit
    echo '#include <stdint.h>' >base/clock.h
    printf '#include "clock.h"\n' >port/port.h
    printf '#include "port.h"\n#include <blkid/blkid.h>\n' >stack/stack.h
    printf '#include "port.h"\n' >redirector/redirector.h
    printf '#include "redirector.h"\n' >migrate/service/service.h
    printf '#include "stack.h"\n#include "service.h"\n' >stack/nbdkit/entry_plugin.c
    printf '#include <check.h>\n' >tests/unit/test_x.c
}

# A second file, and what of both may not be: the circle that the first one is in.
circle() { # FILE-1 TEXT-1 FILE-2 TEXT-2
    clean_tree
    printf '%b' "$2" >>"$1"
    "$check" "$T/tree" >/dev/null || fail "one half of a circle is refused"
    printf '%b' "$4" >>"$3"
    fails_with 1 'files need each other' -- "$check" "$T/tree"
    contains "$("$check" "$T/tree" || true)" "$1" "the report"
    contains "$("$check" "$T/tree" || true)" "$3" "the report"
}

finds() { # FILE LINE RULE [FILE LINE]: the first one is to be named
    clean_tree
    printf '%s\n' "$2" >>"$1"
    [ $# -eq 3 ] || printf '%s\n' "$5" >>"$4"
    fails_with 1 "$3" -- "$check" "$T/tree"
    contains "$("$check" "$T/tree" || true)" "$1" "the report"
}

clean_tree
"$check" "$T/tree" || fail "a clean tree is refused"
finds base/x.c '#include "port.h"' 'base/ may not include port/'
finds port/x.c '#include "redirector.h"' 'port/ may not include redirector/'
finds port/x.h '  #  include "../stack/stack.h"' 'port/ may not include stack/'
finds redirector/x.c '#include "stack.h"' 'redirector/ may not include stack/'
finds stack/x.c '#include "redirector.h"' 'stack/ may not include redirector/'
finds stack/x.c '#include "service.h"' 'stack/ may not include migrate/'
finds migrate/config/x.c '#include "service.h"' 'migrate/config/ may not include migrate/service/'
finds stack/port.h '' 'another header has the same name'
finds migrate/hall.c '#include "port.h"' 'migrate/ is no folder of the table'
finds base/clock.c 'int
time_now(void)
{
    return 0;
}' 'is not named for its file' base/clock.h 'int time_now(void);'
circle port/a.h '#include "port.h"\n' port/port.h '#include "a.h"\n'
circle port/a.c 'int\na_do(void)\n{\n    return b_do();\n}\n' \
    port/b.c 'int\nb_do(void)\n{\n    return a_do();\n}\n'
finds migrate/service/x.c '#include "entry_plugin.c"' 'nothing may include entry_'
finds port/nbd/port_nbd.c '#include <libnbd.h>' 'may include libnbd'
finds migrate/service/x.c '#include <nbdkit-plugin.h>' 'may include nbdkit-'
finds base/x.c '#include <check.h>' 'may include check'
finds migrate/service/x.c '#include <blkid/blkid.h>' 'may include blkid'
finds stack/x.c '#include <blkid/blkid.h>' 'second file that includes <blkid/'
finds migrate/service/x.c '#include <libconfig.h>' 'may include libconfig'
finds migrate/service/x.c "$(seq 600)" 'fewer than 600 lines'
finds base/x.h "$(seq 200)" 'fewer than 200 lines'
