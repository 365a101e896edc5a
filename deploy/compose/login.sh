#!/bin/sh
# Starts the login. The web server wants the password's digest and not the password; it is made here, at each start.
set -eu
password="$(cat "$LOGIN_PASSWORD_FILE")"
LOGIN_DIGEST="$(printf '%s\n' "$password" | caddy hash-password)"  # it wants the end of the line, which the file has not
export LOGIN_DIGEST
exec caddy run --config "$CADDYFILE" --adapter caddyfile
