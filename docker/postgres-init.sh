#!/bin/sh
# Runs once, when the volume is empty: the second database and the two logins the programs run as.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname hub \
    --set=hub_password="$HUB_APP_PASSWORD" --set=adapter_password="$ADAPTER_APP_PASSWORD" <<'SQL'
CREATE DATABASE adapter;
CREATE ROLE ocpi_hub_app NOLOGIN;
CREATE ROLE ocpi_adapter_app NOLOGIN;
CREATE ROLE hub_app LOGIN PASSWORD :'hub_password' IN ROLE ocpi_hub_app;
CREATE ROLE adapter_app LOGIN PASSWORD :'adapter_password' IN ROLE ocpi_adapter_app;
SQL
