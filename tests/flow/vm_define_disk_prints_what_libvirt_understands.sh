#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# baton vm define-disk prints a disk of the service as libvirt wants it, warns when the
# libvirt here would drop the reconnect delay, and prints the emulator that adds it.
. "$(dirname "$0")/lib.sh"
need jq
[ -x "$BATON_BIN_DIR/baton-vm" ] || skip "built without libvirt"
start_service a --disk "name=D,device=$(new_device d 1M)" \
    --disk "name=R,device=$(new_device r 1M),readonly=on"
at=$(control_of a)
chmod 755 "$T"
chmod 666 "$(socket_of a)" # QEMU's user may connect

xml=$(baton vm define-disk D --at "$at" 2>"$T/warning")
contains "$xml" "<source protocol='nbd' name='D'>" "element"
contains "$xml" "<host transport='unix' socket='$(socket_of a)'/>" "element"
contains "$xml" "<target dev='vda' bus='virtio'/>" "element"
contains "$xml" "<driver name='qemu' type='raw' cache='none' discard='unmap'/>" "element"
contains "$(baton vm define-disk R --at "$at" 2>/dev/null)" "cache='none'/>" "what cannot be trimmed"
if [[ "$xml" == *"<reconnect delay='60'/>"* ]]; then
    eq "$(cat "$T/warning")" "" "warning of a libvirt that knows the delay"
else
    contains "$(cat "$T/warning")" "would drop it silently" "warning"
fi
xml=$(baton vm define-disk D --at "$at" --socket "/x'&y" --target sdb --reconnect-delay 0 2>&1)
contains "$xml" "socket='/x&apos;&amp;y'" "element"
contains "$xml" "<target dev='sdb' bus='scsi'/>" "element"
[[ "$xml" != *reconnect* ]] || fail "a delay that was not wanted: $xml"

fails_with 1 "a has no disk E" -- baton vm define-disk E --at "$at"
fails_with 2 "absolute path" -- baton vm define-disk D --at "$at" --socket run/x
fails_with 2 "one DISK is expected" -- baton vm define-disk --at "$at"
fails_with 2 "allowed: 0 to 86400" -- baton vm define-disk D --reconnect-delay x
fails_with 2 "allowed: define-disk, list, migrate, save" -- baton vm
fails_with 1 "libvirt: " -- baton vm list --at "$at" --connect "qemu+unix:///system?socket=$T/no"

# The wrapper adds the delay to what speaks NBD, and to nothing else.
baton vm define-disk --emulator --reconnect-delay 7 |
    sed 's|^exec /usr/bin/qemu-system-x86_64|printf "%s\\n"|' >"$T/emulator"
out=$(bash "$T/emulator" -blockdev '{"driver":"nbd","export":"D"}' -blockdev \
    '{"driver":"raw","file":"nbd"}' 'a b')
eq "$out" '-blockdev
{"driver":"nbd","reconnect-delay":7,"export":"D"}
-blockdev
{"driver":"raw","file":"nbd"}
a b' "arguments of QEMU"
stop_service a
