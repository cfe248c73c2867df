#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The disks of a VM are at two services. A handoff of the VM moves those that are at one of
# them, with one commit, and counts what the other owns already as done, in either direction
# and for "all". A disk at a third service is named, and nothing moves.
. "$(dirname "$0")/lib.sh"
need jq qemu-io
disks() { # ROLE
    local d
    for d in d1 d2 d3; do
        echo "--disk name=$d,vm=w,device=$T/$d.img,role=$1"
    done
}
for d in d1 d2 d3; do
    new_device "$d" 4M >/dev/null
done
# shellcheck disable=SC2046 # several words
start_service a $(disks owner)
for name in b c; do
    # shellcheck disable=SC2046
    start_service "$name" $(disks standby)
done
roles() {
    baton status --at "$(control_of "$1")" --json | jq -r '[.disks[].role] | join(" ")'
}

# One is there already.
handoff d2 a b >/dev/null
io "$(uri_of a d2)" "write -P 2 0 4k" # a is its client
handoff vm:w a b >"$T/report" || fail "gathering at b: $(cat "$T/report")"
eq "$(jq -c '[.outcome, [.disks[].disk], .there]' "$T/report")" \
    '["done",["d1","d3"],["d2"]]' "the report"
eq "$(roles b)" "owner owner owner" "roles of b"
eq "$(status_of b d1 .epoch) $(status_of b d2 .epoch) $(status_of b d3 .epoch)" "2 2 2" "epochs"
fails_with 1 'not owned by a' -- handoff vm:w a b # nothing is left to move

# The other way: d1 is at a service that never gave it to c, and c has the rest.
handoff d2 b c >/dev/null
handoff d3 b c >/dev/null
contains "$(baton handoff vm:w --from "$(control_of b)" --to "$(control_of c)")" \
    "d2: c owns it already" "what the command says"
eq "$(roles c)" "owner owner owner" "roles of c"
handoff d1 c a >/dev/null
handoff vm:w a c >"$T/report" || fail "gathering at c from a: $(cat "$T/report")"
eq "$(jq -c '[[.disks[].disk], .there]' "$T/report")" '[["d1"],["d2","d3"]]' "the report"

# "all" does the same.
handoff d3 c a >/dev/null
baton handoff all --from "$(control_of c)" --to "$(control_of a)" --json >"$T/report"
eq "$(jq -c '[.outcome, .disks, .handoffs[0].there]' "$T/report")" '["done",2,["d3"]]' "all"
eq "$(roles a)" "owner owner owner" "roles of a"

# A third service has one: it is named, and nothing moves.
handoff d2 a c >/dev/null
fails_with 1 'd2 of vm:w is owned neither by a nor at' -- handoff vm:w a b
fails_with 1 'c owns it' -- handoff vm:w a b
eq "$(roles a)" "owner given owner" "roles of a after the refusal"
eq "$(status_of a d1 .handoff)" null "a handoff of d1"
io "$(uri_of a d2)" "read -P 2 0 4k"
for name in a b c; do
    stop_service "$name"
done
