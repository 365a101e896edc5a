#!/bin/sh
# Run once by the postgres image, when its volume is new: Dagster's database and the warehouse, each with its own user.
set -eu
create() {
    PASSWORD="$2" psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres --set=name="$1" <<'SQL'
\getenv password PASSWORD
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}
create dagster "$DAGSTER_POSTGRES_PASSWORD"
create taxi "$WAREHOUSE_PASSWORD"
