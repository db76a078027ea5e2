#!/bin/sh
# The floor: how soon the critical service of the sample can be back, by a script that was tuned by hand for it alone.
#
#     floor.sh OPTIONS... IMAGE COMMAND...     as for `docker run`
#
# One container, one command in it, one restic for each repository, both at once and while the machine still boots; starts that
# overlap; no archive. The dump is loaded as the plan says: how is up to its owner, and not what is compared. What it brings back
# works, but beyond the checks of the critical service nothing is proved: no other metric, no owner that no service trips over, no
# file that is missing. It prints the seconds to its two green checks.
set -eu
began=$(date +%s%N)
name=$(docker run --detach "$@")
docker exec -i "$name" sh -eu <<'END'
restore() {
    repository=$1 password=$2
    shift 2
    restic --no-lock --no-cache --quiet --repo "$repository" --password-file "/mnt/secrets/$password.password" \
        restore latest --host telemetry-pi --target / --delete "$@"
}

restore "$REPOSITORY" restic --include /etc/mosquitto --include /etc/muster --include /etc/nginx --include /etc/postgresql \
    --include /etc/systemd/system --include /etc/telemetry/config --include /usr/local/bin \
    --include /usr/local/lib/telemetry --include /var/backups/telemetry/readings &
telemetry=$!
restore "$VAULT" vault --include /etc/telemetry/keys --include /etc/ssh/ssh_host_ed25519_key &
vault=$!
groupadd -r telemetry
useradd -r -g telemetry -d /var/lib/telemetry -M -s /usr/sbin/nologin telemetry

wait "$telemetry"
chown -R postgres: /etc/postgresql
until [ -S /run/systemd/private ]; do sleep 0.02; done
systemctl daemon-reload
systemctl start --no-block postgresql@17-main
wait "$vault"
cd /etc/telemetry/keys
chown telemetry: app.key ./*.password
chown mosquitto: mosquitto.passwd mqtt.key
systemctl start --no-block mosquitto nginx

cd /
until pg_isready -q; do sleep 0.02; done
dump=$(find /var/backups/telemetry/readings -name '*.dump' | sort | tail -n 1)
runuser -u postgres -- sh -eu -c '
    createuser telemetry
    createdb -O telemetry -T template0 -E UTF8 -l C.UTF-8 telemetry
    pg_restore -d telemetry --exit-on-error' < "$dump"

telemetry-selftest decrypt | grep -q decrypted &
old_notes=$!
systemctl start telemetry-ingest telemetry-status nginx
telemetry-selftest round-trip | grep -q stored
wait "$old_notes"
END
ended=$(date +%s%N)
echo "critical $(((ended - began) / 1000000))"
