#!/bin/sh
# Dagster's database and the warehouse, each with a user of its own: makes what is missing, and sets the passwords. It is
# done at every start, so a start that failed in the middle is mended by the next, and a new password counts.
set -eu

# The server writes a statement that failed into its log, with the password in it, unless it is told not to.
quietly() {
    password="$(cat "$PASSWORDS/$1")"  # on its own: a command that follows would hide that it failed
    PASSWORD="$password" psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=name="$2" \
        --username=postgres --dbname=postgres
}

make() {
    quietly "$1" "$1" <<'SQL'
SET log_min_error_statement = panic;
SET log_statement = none;
SET log_min_duration_statement = -1;
\getenv password PASSWORD
SELECT format('CREATE ROLE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" LOGIN PASSWORD :'password';
-- One that was being dropped when the server was killed lets nobody in any more.
SELECT format('DROP DATABASE %I', datname) FROM pg_database WHERE datname = :'name' AND datconnlimit = -2 \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
    echo "the database $1 is there, and its user's password is set"
}

make dagster
make taxi
quietly superuser postgres <<'SQL'
SET log_min_error_statement = panic;
SET log_statement = none;
SET log_min_duration_statement = -1;
\getenv password PASSWORD
ALTER ROLE :"name" PASSWORD :'password';
SQL
