#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What each command names as allowed when it refuses an option is in its --help, in
# baton(1) and in the bash completion, and the completion offers nothing else, and goes on
# behind options without a value; the values of serve's are completed by their kind.
# Settings, keys of a disk and layers are in nbdkit-baton-plugin(1).
set -u
baton=${BATON_BIN_DIR:?}/baton
root=$(cd "$(dirname "$0")/../.." && pwd)
manual=$root/docs/baton.1 plugin=$root/docs/nbdkit-baton-plugin.1
failures=0
options=0
flags=0 # without a value, but for --json: it changes the refusal
wrong() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}
. "$root/scripts/completion/baton"

# complete_line WORD...: what is offered after these words
complete_line() {
    COMP_WORDS=("$baton" "$@")
    COMP_CWORD=$#
    _baton
    printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort -u
}

# allowed COMMAND...: its options, by its own word
allowed() {
    "$baton" "$@" --nonsense 2>&1 | sed -n 's/.*; allowed: //p' | tr -d ',' | tr ' ' '\n' |
        sort -u
}

check_command() {
    local option help offered known=$1
    known=$(allowed "$@")
    help=$("$baton" "$@" --help)
    offered=$(complete_line "$@" -- | grep '^--')
    [ -n "$known" ] || wrong "baton $* names no options"
    for option in $known; do
        options=$((options + 1))
        # In the synopsis, and what it means.
        [ "$(grep -cE -e "Fl ${option#-}( |\$)" "$manual")" -ge 2 ] ||
            wrong "baton $* $option is not in baton(1)"
        case $1$option in
        *--help | [!s]*--tls-* | status--tls-*) continue ;; # baton(1) says it of all
        esac
        grep -qE -e "$option([^a-z-]|\$)" <<<"$help" ||
            wrong "baton $* --help does not say $option"
        # Behind an option that does not take the next word the next one is offered.
        if [ "$(allowed "$@" "$option")" = "$known" ]; then
            flags=$((flags + 1))
            [ -n "$(complete_line "$@" "$option" --)" ] ||
                wrong "completion of baton $*: nothing behind $option"
        fi
    done
    [ "$offered" = "$known" ] ||
        wrong "completion of baton $*: $(diff <(echo "$known") <(echo "$offered") | grep '^[<>]' | tr '\n' ' ')"
}

commands=$("$baton" 2>&1 | sed 's/.*; allowed: //' | tr -d ',')
for command in $commands; do
    complete_line "" | grep -qx -e "$command" || wrong "completion: no $command"
    case $command in
    --*) continue ;;
    vm) grep -qF ".Nm Cm vm" "$manual" || wrong "baton(1): no vm" ;;
    *) grep -qE "^\.Cm ([a-z]+ \| )?$command( |$)" "$manual" || wrong "baton(1): no $command" ;;
    esac
    case $command in
    vm | proxy) ;; # below; has none
    *) check_command "$command" ;;
    esac
done
if [ -x "$BATON_BIN_DIR/baton-vm" ]; then
    for command in $("$baton" vm 2>&1 | sed 's/.*; allowed: //' | tr -d ','); do
        complete_line vm "" | grep -qx -e "$command" || wrong "completion: no vm $command"
        grep -qE "^\.(Cm|Nm Cm) vm $command" "$manual" || wrong "baton(1): no vm $command"
        "$baton" --help | grep -qF "$command" || wrong "baton --help: no vm $command"
        check_command vm "$command"
    done
fi

# What stands in the table of the configuration is an option (checked above) and a
# parameter; keys of a disk and layers, by the sentences of their refusals.
serve=(serve --name a --listen unix:/l --control unix:/c)
settings=$("$baton" serve --list-options | sed -n '/^$/q; s/^--\([^ ]*\).*/\1/p')
[ -n "$settings" ] || wrong "baton serve --list-options names no settings"
for key in $settings control-fd pidfile; do
    grep -qE "^\.It .*Cm $key Ns" "$plugin" || wrong "nbdkit-baton-plugin(1): no $key"
    grep -qE "^\.(Op )?.*Cm $key Ns" <(sed '/^\.Sh DESCRIPTION/q' "$plugin") ||
        wrong "nbdkit-baton-plugin(1), SYNOPSIS: no $key"
done
keys=$("$baton" "${serve[@]}" --disk name=D,device=/x,nonsense=1 2>&1 |
    sed 's/.*; allowed: //' | tr -d ',')
for key in $keys; do
    grep -qE "^\.It Cm $key( |$)" "$plugin" || wrong "nbdkit-baton-plugin(1): no key $key"
done
# Values of serve's options are files, users, groups, or one word; others are unknown.
complete_line serve --insecure-plain-tcp "" | grep -qx on || wrong "completion: no on"
complete_line serve --state-dir /et | grep -qx /etc || wrong "completion: no files"
complete_line serve --socket-owner roo | grep -qx root || wrong "completion: no users"
complete_line serve --control-group roo | grep -qx root || wrong "completion: no groups"
for option in --name --disk --threads; do
    [ -z "$(complete_line serve "$option" "")" ] || wrong "completion behind $option"
done
said=$(complete_line serve --config /etc/x --ver 2>&1)
[ "$said" = --verbose ] || wrong "completion behind a value: $said"
layers=$("$baton" "${serve[@]}" --disk name=D,device=/x,layer=nonsense 2>&1 |
    sed 's/.*; allowed: //' | tr -d ',')
for layer in $layers; do
    grep -qE "^\.It Cm $layer( |$)" "$plugin" || wrong "nbdkit-baton-plugin(1): no layer $layer"
done
echo "$options options, $flags without a value; keys: ${keys//$'\n'/ }; settings: ${settings//$'\n'/ }; layers: $layers; $failures failures"
[ "$failures" -eq 0 ] && [ "$options" -gt 80 ] && [ "$flags" -gt 8 ]
