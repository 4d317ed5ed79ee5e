#!/bin/sh
# Creates one database per app with its two roles, as `provision()` of libs/postgres does: `<name>_owner` for migrations,
# `<name>_app` for rows, and no way from one app's database into another's. The Postgres image runs it once, on an empty volume.
# Needs: DATABASES (names, separated by spaces) and PASSWORDS, a folder with a file for each role that holds its password.
set -eu
: "${DATABASES:?}" "${PASSWORDS:?}"

for name in $DATABASES; do
  psql --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set=name="$name" --set=owner="${name}_owner" --set=app="${name}_app" \
    --set=owner_password="$(cat "$PASSWORDS/${name}_owner")" --set=app_password="$(cat "$PASSWORDS/${name}_app")" <<'SQL'
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password';
CREATE ROLE :"app" LOGIN PASSWORD :'app_password';
CREATE DATABASE :"name" OWNER :"owner";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"app";
SQL
done
