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

finds() { # FILE LINE RULE
    clean_tree
    printf '%s\n' "$2" >>"$1"
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
finds migrate/service/x.c '#include "entry_plugin.c"' 'nothing may include entry_'
finds port/nbd/port_nbd.c '#include <libnbd.h>' 'may include libnbd'
finds migrate/service/x.c '#include <nbdkit-plugin.h>' 'may include nbdkit-'
finds base/x.c '#include <check.h>' 'may include check'
finds migrate/service/x.c '#include <blkid/blkid.h>' 'may include blkid'
finds stack/x.c '#include <blkid/blkid.h>' 'second file that includes <blkid/'
finds migrate/service/x.c '#include <libconfig.h>' 'may include libconfig'
finds migrate/service/x.c "$(seq 600)" 'fewer than 600 lines'
finds base/x.h "$(seq 200)" 'fewer than 200 lines'
