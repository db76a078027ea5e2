#!/bin/sh
# Run one stage of a `make` target, and say how long it took: `stage.sh [--quiet] WHAT COMMAND...`
# With --quiet only a stage of more than two seconds is told.
set -u

least=0
if [ "$1" = --quiet ]; then least=3; shift; fi
what=$1
shift
started=$(date +%s)
# Someone who has just been put into the engine's group has it in this shell only through sg(1).
socket=/var/run/docker.sock
if [ -S "$socket" ] && [ ! -w "$socket" ] && id -nG "$(id -un)" | grep -qw docker; then
    command=$(python3 -c 'import shlex, sys; print(shlex.join(sys.argv[1:]))' "$@")
    sg docker -c "$command"
else
    "$@"
fi
status=$?
took=$(($(date +%s) - started))
[ "$took" -lt "$least" ] || printf 'muster: %s took %s s\n' "$what" "$took" >&2
exit "$status"
