#!/bin/sh
# Makes a database cluster in an empty PGDATA, then becomes the server.
set -eu

if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?is needed for the superuser}"
    password_file=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password_file"
    initdb --no-sync --encoding=UTF8 --auth-local=trust --auth-host=scram-sha-256 \
        --username="${POSTGRES_USER:-postgres}" --pwfile="$password_file" >/dev/null
    rm "$password_file"
    {
        echo 'host all all all scram-sha-256'
        echo 'host replication all all scram-sha-256'
    } >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    if [ "${POSTGRES_DB:-postgres}" != postgres ]; then
        echo "CREATE DATABASE \"$POSTGRES_DB\"" |
            postgres --single postgres >/dev/null
    fi
fi

exec "$@"
