#!/usr/bin/env bash
# Makes the roles of README.md's "Database roles", and lets the replica follow. Run once by the image, when the database is made.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --username postgres --set "writer=$WRITER_PASSWORD" --set "api=$API_PASSWORD" <<'SQL'
CREATE ROLE clawpay_owner NOLOGIN;
CREATE ROLE clawpay_writer LOGIN PASSWORD :'writer' IN ROLE clawpay_owner;
CREATE ROLE clawpay_api LOGIN PASSWORD :'api';
ALTER ROLE clawpay_writer SET role TO 'clawpay_owner';
GRANT pg_read_all_stats, pg_signal_backend TO clawpay_owner;
CREATE DATABASE clawpay OWNER clawpay_owner;
REVOKE ALL ON DATABASE clawpay FROM PUBLIC;
GRANT CONNECT ON DATABASE clawpay TO clawpay_api;
\connect clawpay
ALTER DEFAULT PRIVILEGES FOR ROLE clawpay_owner GRANT SELECT ON TABLES TO clawpay_api;
SQL
echo 'host replication postgres 172.28.0.0/24 scram-sha-256' >>"$PGDATA/pg_hba.conf"
