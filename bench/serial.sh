#!/bin/sh
# The serial script: what a careful admin writes by hand for the sample, one step after the other, each waited for.
#
#     serial.sh OPTIONS... IMAGE COMMAND...     as for `docker run`
#
# A clean container, one restic for each dataset, users and owners by name, services in order with their readiness, and then the
# plan's own metrics, held against what the Pi measured, and smoke checks. It prints the milliseconds to the green checks of the
# critical service, and to all of them.
set -eu
began=$(date +%s%N)
so_far() { echo $((($(date +%s%N) - began) / 1000000)); }

name=$(docker run --detach "$@")
on() { docker exec "$name" "$@"; }
as_shell() { docker exec "$name" sh -euc "$1"; }
on sh -c 'until [ -S /run/systemd/private ]; do sleep 0.1; done; systemctl is-system-running --wait' > /dev/null

# Everything comes back from the newest snapshot, the secrets from the vault.
restore() {
    password=$1
    repository=$2
    shift 2
    # shellcheck disable=SC2016  # expanded in the container, which knows where its repositories are
    docker exec "$name" sh -euc 'repository=$1 password=$2; shift 2
        restic --no-lock --no-cache --quiet --repo "$(printenv "$repository")" --password-file "/mnt/secrets/$password.password" \
            restore latest --host telemetry-pi --target / --delete "$@"' sh "$repository" "$password" "$@" > /dev/null
}
restore restic REPOSITORY --include /var/lib/muster/manifest.json
restore restic REPOSITORY --include /etc/mosquitto --include /etc/muster --include /etc/nginx --include /etc/postgresql \
    --include /etc/systemd/system --include /etc/telemetry/config
restore restic REPOSITORY --include /usr/local/bin --include /usr/local/lib/telemetry
restore vault VAULT --include /etc/telemetry/keys --include /etc/ssh/ssh_host_ed25519_key
restore restic REPOSITORY --include /var/backups/telemetry/readings
restore restic REPOSITORY --include /var/backups/telemetry/events
restore restic REPOSITORY --include /srv/media

# The numbers of users are others on a clean machine.
on groupadd -r telemetry
on useradd -r -g telemetry -d /var/lib/telemetry -M -s /usr/sbin/nologin telemetry
on getent group camera > /dev/null || on groupadd -r camera
on chown -R postgres: /etc/postgresql /var/backups/telemetry/readings
as_shell 'cd /etc/telemetry/keys && chown telemetry: app.key ./*.password && chown mosquitto: mosquitto.passwd mqtt.key'
# Some modes and capabilities go with a change of owner, and an access list names users by their old numbers, too.
# shellcheck disable=SC2016  # expanded in the container
as_shell 'cd /srv/media && find . -perm /6000 -printf "chmod %#m \"%p\"\n" > /run/modes && getcap -r . > /run/caps &&
    find . ! -path ./ARCHIVE.json -exec chown -h telemetry: {} + && sh /run/modes &&
    while read -r file caps; do setcap "$caps" "$file"; done < /run/caps
    setfacl --set u::rw,u:telemetry:r,u:www-data:rw,g::r,g:camera:r,m::rw,o::r special/acl'

# Services, in order.
on systemctl daemon-reload
on systemctl start mosquitto.service
as_shell 'until nc -z 127.0.0.1 8883 2>&1; do sleep 0.1; done'
on systemctl start postgresql@17-main.service
as_shell 'until pg_isready -q; do sleep 0.1; done'
# shellcheck disable=SC2016  # as above
as_shell 'dump=$(find /var/backups/telemetry/readings -name "*.dump" | sort | tail -n 1); cd /
    runuser -u postgres -- sh -euc "createuser telemetry
        createdb -O telemetry -T template0 -E UTF8 -l C.UTF-8 telemetry
        pg_restore -d telemetry --exit-on-error" < "$dump"'
# shellcheck disable=SC2016  # as above
as_shell 'dump=$(find /var/backups/telemetry/events -name "*.dump" | sort | tail -n 1)
    install -D -o telemetry -g telemetry -m 0640 "$dump" /var/lib/telemetry/events.db && chown telemetry: /var/lib/telemetry'
for unit in ingest recorder status; do
    on systemctl start "telemetry-$unit.service"
    on systemctl is-active --quiet "telemetry-$unit.service"
done
as_shell 'until [ -S /run/telemetry-status/http.sock ]; do sleep 0.1; done'
on systemctl start nginx.service
as_shell 'until nc -z 127.0.0.1 443 2>&1; do sleep 0.1; done'

# Figures first, for checks may write: each as the Pi measured it when it was backed up.
metric() {
    was=$(on python3 -c 'import json, sys; print(json.load(open("/var/lib/muster/manifest.json"))["metrics"][sys.argv[1]])' "$1")
    is=$(as_shell "$2")
    [ "$is" = "$was" ] || { echo "$1 is $is, and was $was" >&2; exit 1; }
}
metric readings "telemetry-sql 'select count(*) from reading'"
metric newest-ids "telemetry-sql 'select max(id), (select last_value from reading_id_seq) >= max(id) from reading'"
metric sum "telemetry-sql 'select round(sum(value)::numeric, 3) from reading'"
metric events "sqlite3 /var/lib/telemetry/events.db 'select count(*), max(id) from event'"

selftest() { on telemetry-selftest "$1" | grep -q "$2"; }
selftest login accepted
selftest stranger refused
selftest round-trip stored
selftest decrypt decrypted
echo "critical $(so_far)"
selftest record recorded
on sqlite3 /var/lib/telemetry/events.db 'pragma integrity_check' | grep -q ok
selftest status served
selftest archive intact
echo "verified $(so_far)"
