#!/bin/sh
# Hands the secrets to the services: each into a file of the user that reads it, in a volume that is no container's own.
# Compose shows a container the host's file as it is, owner and mode included, and `make env` writes them for their
# owner alone: no service could read one.
set -eu
export LC_ALL=C
umask 022

refuse() {
    echo "The passwords are not handed out: $1. Fix: $2, then: docker compose up --detach --wait" >&2
    exit 1
}

# hand TO UID FILE: what comes in becomes a file that one user may read, at once or not at all.
hand() {
    mkdir -p "$PASSWORDS/$1"
    (umask 077 && cat > "$PASSWORDS/$1/.$3")
    chmod 400 "$PASSWORDS/$1/.$3"
    if [ "$(id -u)" = 0 ]; then chown "$2" "$PASSWORDS/$1/.$3"; fi
    mv -f "$PASSWORDS/$1/.$3" "$PASSWORDS/$1/$3"
}

# A password is the one line of its file.
password() {
    [ -r "$SECRETS/$1" ] || refuse "there is no file $1 among the secrets" "make env, which writes what is missing"
    [ "$(grep -c . "$SECRETS/$1")" = 1 ] || refuse "the file $1 must hold one line, the password" "write it anew"
    # Blanks at its ends and other than printable letters would be another password to some who read it.
    if grep -q '[[:cntrl:]]\|^[[:blank:]]\|[[:blank:]]$' "$SECRETS/$1"; then
        refuse "the password in $1 has a blank at an end, or a letter that cannot be seen" "write it anew"
    fi
    grep . "$SECRETS/$1" | tr -d '\n'
}

# As libpq takes it: https://www.postgresql.org/docs/current/libpq-pgpass.html
pgpass_line() {
    printf '%s:%s:%s:' "$POSTGRES" "$2" "$2"
    password "$1" | sed 's/[\\:]/\\&/g'
    echo
}

for name in $MISPLACED; do
    refuse "the value of $name stands in .env, where docker compose config shows it" \
        "make env, which moves it into the file $name beside the passwords"
done
case "$LAKE" in s3://* | az://*) ;; *) ACCOUNT="" ;; esac
for name in $ACCOUNT; do
    grep -q . "$SECRETS/$name" || refuse "the lake's account stands in .env or in this shell, which no container sees" \
        "make env, which moves it from .env into the file $name beside the passwords"
done
for name in postgres dagster warehouse pgadmin login broker; do
    password "${name}_password" > /dev/null
done

password postgres_password | hand postgres 999 superuser
password dagster_password | hand postgres 999 dagster
password warehouse_password | hand postgres 999 taxi
password pgadmin_password | hand pgadmin 5050 password
password login_password | hand login 10003 password
password broker_password | hand broker 999 password
password broker_password | hand platform 10001 broker_password
for name in certificate certificate_key; do
    hand login 10003 "$name" < "$SECRETS/$name"
done
{
    pgpass_line dagster_password dagster
    pgpass_line warehouse_password taxi
    cat "$SECRETS/pgpass"
} | hand platform 10001 pgpass
for name in source warehouse_url alert_urls gcp_credentials aws_credentials azure_account_key azure_connection_string; do
    hand platform 10001 "$name" < "$SECRETS/$name"
done
if [ -z "$WAREHOUSE_IS_ELSEWHERE" ] && ! grep -q . "$SECRETS/warehouse_url"; then
    echo "postgresql://taxi@$POSTGRES/taxi" | hand platform 10001 warehouse_url
fi
