"""What the benchmark makes of a living sample Pi: more readings, a larger archive, more files, more units."""

from __future__ import annotations

from datetime import timedelta

from images.sample_pi import SamplePi

NOTED = 600  # readings that come in over MQTT, with their notes, so that the oldest of them open with the application key
_LATER = 25  # readings after those that were written into the database: the newest is one that the ingester stored

_READINGS = """
telemetry-sql "insert into reading (at, sensor, value) select
    now() - interval '1 second' * ({count} - n) * 0.05 - interval '20 seconds', 'sensor ' || n % 40,
    round((20 + 8 * sin(n / 40.0))::numeric, 3)
    from generate_series(1, {count}) n"
telemetry-sql 'analyze reading'
"""
_DESCRIBE = """
chown -R telemetry:telemetry /srv/media/film /srv/media/photos
cd /usr/local/lib/telemetry && python3 -B - <<'END'
import json
from telemetry import archive
from telemetry.settings import MEDIA
(MEDIA / archive.LIST).write_text(json.dumps(archive.describe(MEDIA), indent=0))
END
"""
_FILM = "head -c {megabytes}M /dev/urandom > /srv/media/film/{name}.mp4"
_PHOTOS = """
rm -rf /srv/media/photos /srv/media/film && mkdir /srv/media/photos /srv/media/film && python3 -B - <<'END'
import random
from pathlib import Path
dice = random.Random({count})
for number in range({count}):
    folder = Path("/srv/media/photos", f"{{number // 500:04}}")
    if number % 500 == 0:
        folder.mkdir()
    (folder / f"{{number:06}}.jpg").write_bytes(dice.randbytes(dice.randrange(200, 6000)))
END
"""
_UNIT = """
for n in $(seq 1 {count}); do
    printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \\
        > /etc/systemd/system/telemetry-bench-$n.service
done
systemctl daemon-reload && systemctl enable --now --quiet $(seq -f 'telemetry-bench-%g.service' 1 {count})
"""
_NO_UNITS = """
systemctl disable --now --quiet $(cd /etc/systemd/system && ls telemetry-bench-*.service)
rm /etc/systemd/system/telemetry-bench-*.service && systemctl daemon-reload
"""


def read(pi: SamplePi, count: int) -> None:
    """Have a Pi hold this many readings: most are written into its database, since all of them would take long over MQTT."""
    pi.feed(NOTED, span=timedelta(hours=6))
    pi.run(_READINGS.format(count=count - NOTED - _LATER))
    pi.feed(_LATER)


def film(pi: SamplePi, megabytes: int) -> None:
    """Make the archive larger by a film of this size."""
    pi.run(_FILM.format(megabytes=megabytes, name=f"more-{megabytes}") + _DESCRIBE)


def photos(pi: SamplePi, count: int) -> None:
    """Have the archive hold this many small files, and no films."""
    pi.run(_PHOTOS.format(count=count) + _DESCRIBE)


def units(pi: SamplePi, count: int) -> None:
    """Run units that do nothing."""
    pi.run(_UNIT.format(count=count))


def no_units(pi: SamplePi) -> None:
    """Take these units away again."""
    pi.run(_NO_UNITS)


def back_up(pi: SamplePi) -> None:
    """Back the Pi up while its timer waits for its next time, as on every Pi, and with a reading of this moment."""
    pi.feed(1)
    with pi.ticking():
        pi.backup()
