#!/bin/sh
# Starts the broker with its password, which stands in no list of processes, and with what it had written down before.
set -eu
export LC_ALL=C
(
    umask 077
    # In quotes, where a backslash and a quote have a meaning.
    printf 'requirepass "%s"\n' "$(sed 's/[\\"]/\\&/g' "$PASSWORD_FILE")" > "$CONFIG"
)
# A month is given out once and for all: what is lost with a second of the log would wait for an hour.
exec valkey-server "$CONFIG" --dir "$DATA" --port "${PORT:-6379}" --protected-mode no --appendonly yes --appendfsync always \
    --save "" --maxmemory 100mb --maxmemory-policy noeviction
