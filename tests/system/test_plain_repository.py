"""A restic repository made by hand, without tags or a manifest, is inspected all the same, and what is seen less of is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from muster.plan import load
from muster.record import Record
from tests.system.breaking import Sample, flip, found, packs, told

# What anyone types who has read restic's manual: no tags, no manifest, whole folders.
_BY_HAND = """
set -e
for name in restic vault; do
  export RESTIC_REPOSITORY=/mnt/usb/plain-$name RESTIC_PASSWORD_FILE=/etc/telemetry/backup/$name.password
  rm -rf $RESTIC_REPOSITORY; restic --quiet init >/dev/null
  case $name in
    restic) restic --quiet --no-cache backup --exclude=/etc/telemetry/keys $(plain_paths) ;;
    vault) restic --quiet --no-cache backup /etc/telemetry/keys /etc/ssh/ssh_host_ed25519_key ;;
  esac
done
"""
_ACCEPTED = """
[[accept]]
code = "{code}"
reason = "the seal comes with the next visit"
until = 2099-12-31
"""


def _by_hand(plan: Path) -> str:
    paths = " ".join(str(path) for data in load(plan).data.values() if data.class_ != "secrets" for path in data.paths)
    return _BY_HAND.replace("$(plain_paths)", paths)


def _plain(text: str) -> str:
    return text.replace("usb/telemetry", "usb/plain-restic").replace("usb/vault", "usb/plain-vault")


def _accepting(*codes: str) -> Callable[[str], str]:
    return lambda text: _plain(text) + "".join(_ACCEPTED.format(code=code) for code in codes)


@pytest.fixture(scope="module")
def home(system: Sample) -> Path:
    with system.living.ticking():
        system.living.backup()  # whose dumps are what is backed up by hand: those of other tests can be old by now
    return system.backed_up("plain", _by_hand(Path("drills/plans/telemetry.toml")), backup=None)


def _inspected(system: Sample, home: Path, change: Callable[[str], str] = _plain) -> Record:
    return system.inspect(home, change=change, repositories=("usb", "vault"))


def test_it_is_not_proven_and_each_weaker_check_says_why(system: Sample, home: Path) -> None:
    record = _inspected(system, home)
    assert record.verdict == "not proven", told(record)
    assert {finding.severity for finding in record.findings} <= {"unproven", "warning"}, told(record)
    assert found(record, "no-manifest", "manifest").severity == "unproven"
    weaker = {looked.check: looked.weaker for looked in record.looked if looked.weaker}
    assert {"completion", "restore", "schedule", "classification", "escrow"} <= weaker.keys(), weaker
    assert record.steps["coverage:the Pi"].outcome == "error", "what nobody sealed cannot be covered"
    assert all(len(why) > 20 for why in weaker.values())


def test_what_needs_no_manifest_is_proven(system: Sample, home: Path) -> None:
    record = _inspected(system, home)
    kinds = ("open", "look", "freshness", "integrity", "restore", "escrow")
    steps = [step for step in record.steps.values() if step.kind in kinds]
    assert {step.outcome for step in steps} == {"done"}, told(record)
    assert sum(restored.files for restored in record.restored.values()) > 10


def test_an_owner_who_accepts_to_see_less_passes(system: Sample, home: Path) -> None:
    codes = {finding.code for finding in _inspected(system, home).findings if finding.severity == "unproven"}
    record = _inspected(system, home, _accepting(*sorted(codes)))
    assert record.verdict == "proven", told(record)
    assert codes <= {finding.code for finding in record.accepted}


@pytest.mark.usefixtures("home")
def test_damage_is_found_all_the_same(system: Sample) -> None:
    broken = system.backed_up("plain-broken", "true", backup=None)
    pack = packs(broken / "usb" / "plain-restic")[-1]
    flip(pack, pack.stat().st_size // 2)
    record = _inspected(system, broken, lambda text: _plain(text) + '\n[inspection]\nread_all_within = "1d"\n')
    assert record.verdict == "failed"
    found(record, "repository-damaged", "usb")
