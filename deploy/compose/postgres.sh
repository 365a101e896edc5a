#!/bin/sh
# Starts PostgreSQL by the image's own script, after a first initialisation that was cut off has been cleared away.
# Such a folder starts no server, ever, and keeps the image from beginning anew. It is known by what comes last: the
# database `postgres`, number 5. Whoever has made a database of his own has one with a number from 16384 on.
set -eu
data="${PGDATA:-/var/lib/postgresql/data}"
if [ -e "$data/PG_VERSION" ] && [ ! -e "$data/base/5/PG_VERSION" ] &&
    ! ls "$data/base" 2> /dev/null | grep -q '[0-9]\{5\}'; then
    echo "The first initialisation of $data was cut off: it is cleared, and done again." >&2
    find "$data" -mindepth 1 -delete
fi
exec docker-entrypoint.sh "$@"
