"""What stands in a runbook: one that a drill wrote, and anybody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster.errors import PlanError
from muster.runbook.reading import LARGEST, Book, read

SCRIPT = """\
#!/bin/sh
# muster-runbook: 1 plan=garden incident=disk-loss run=20261123-100000-ab12
set -eu
step() { echo "== $1 $2"; }
need repositories

#: manual 1 8.5
by_hand 1 'Flash the card, "all" of it' '8.5'

#: step 2 provision
step 2 'Install the packages'

need repositories

apt-get update
ran

apt-get install -y --no-install-recommends \\
  mosquitto restic
ran

#: step 3 restore:usb
step 3 'Bring back what'\\''s on usb'

restic --repo /mnt/usb restore "${SNAPSHOT_USB:-latest}" --target /
ran

seen 'It is there' 'test -e /etc/x
# "and" more' 'Look again'

#: end
finish
"""

OURS = """\
# How to bring garden back

<!-- muster-runbook: 1 plan=garden incident=disk-loss run=r1 -->

```sh
this is an example
```

## What you need

- a card

## 1. Flash the card (8.5 min)

1. Put it in
2. Take it out

## 2. Bring back what's on `usb` & more

<!-- step: restore:usb -->

root, on the new Pi; took 12 s

```sh
restic restore latest
```

```sh
cat <<'X'
## 7. no heading

X
```

Expect this:

<!-- check -->
```sh
test -e /etc/x
```

## Added by somebody

```sh
echo more
```

<!-- end -->

## When it fails

```sh
rm -rf /
```
"""

THEIRS = """\
# Getting the garden Pi back

Some words. Two hours, they say.

## Preparing

### Flash the card

This takes 5-10 minutes, or so.

### Packages

```bash
# first of all
apt-get update && apt-get install -y restic
```

## Data

1. Plug in the disk (2 min)
2. Mount it:

   ```
   mount /dev/sda1 /mnt
   ```

3. Restore

```console
root@pi:~# restic -r /mnt/usb \\
>   restore latest
repository 1234 opened
$ systemctl restart mosquitto
# reboot
```

An answer looks so:

```json
{"ok": true}
```

```python
print("no")
```
"""


def book(tmp_path: Path, text: str | bytes, name: str = "runbook.md") -> Book:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def test_a_script_of_a_drill_is_read_step_by_step(tmp_path: Path) -> None:
    found = book(tmp_path, SCRIPT, "runbook.sh")
    assert (found.format, found.plan, found.incident, found.by) == ("sh", "garden", "disk-loss", "20261123-100000-ab12")
    hand, install, restore = found.steps
    assert (hand.number, hand.how, hand.title, hand.minutes, hand.commands) == (
        1, "by hand", 'Flash the card, "all" of it', 8.5, (),
    )  # fmt: skip
    assert install.commands == ("apt-get update", "apt-get install -y --no-install-recommends \\\n  mosquitto restic")
    assert (install.step, install.title, install.how) == ("provision", "Install the packages", "typed")
    assert restore.title == "Bring back what's on usb"
    assert restore.commands == ('restic --repo /mnt/usb restore "${SNAPSHOT_USB:-latest}" --target /',)
    assert restore.check == 'test -e /etc/x\n# "and" more'


def test_lines_of_a_script_are_those_of_the_file(tmp_path: Path) -> None:
    lines = SCRIPT.split("\n")
    for step in book(tmp_path, SCRIPT, "runbook.sh").steps:
        assert lines[step.line - 1].startswith("#: ")
        assert lines[step.line - 1].split()[2] == str(step.number)
        assert lines[step.last].startswith(("#: ", "")), step
    assert [(step.line, step.last) for step in book(tmp_path, SCRIPT, "runbook.sh").steps] == [(7, 8), (10, 20), (22, 29)]


def test_a_command_that_was_taken_out_is_not_there(tmp_path: Path) -> None:
    found = book(tmp_path, SCRIPT.replace("apt-get update\nran\n\n", ""), "runbook.sh")
    assert [len(step.commands) for step in found.steps] == [0, 1, 1]


def test_a_markdown_runbook_of_a_drill_is_read_by_its_numbers(tmp_path: Path) -> None:
    found = book(tmp_path, OURS)
    assert (found.format, found.plan, found.incident, found.by) == ("md", "garden", "disk-loss", "r1")
    hand, restore, added = found.steps
    assert (hand.title, hand.how, hand.minutes) == ("Flash the card", "by hand", 8.5)
    assert (restore.title, restore.step, restore.check) == ("Bring back what's on usb & more", "restore:usb", "test -e /etc/x")
    assert restore.commands == ("restic restore latest", "cat <<'X'\n## 7. no heading\n\nX")
    assert (added.title, added.commands) == ("Added by somebody", ("echo more",))
    assert OURS.split("\n")[restore.line - 1].startswith("## 2.")
    assert added.last == OURS.split("\n").index("<!-- end -->")


def test_what_a_person_wrote_is_read_by_headings_lists_and_fences(tmp_path: Path) -> None:
    found = book(tmp_path, THEIRS)
    assert (found.plan, found.by) == ("", "")
    assert [(step.number, step.title, step.how, step.minutes) for step in found.steps] == [
        (1, "Flash the card", "by hand", 10.0),
        (2, "Packages", "typed", 0.0),
        (3, "Plug in the disk", "by hand", 2.0),
        (4, "Mount it:", "typed", 0.0),
        (5, "Restore", "typed", 0.0),
    ]
    assert found.steps[1].commands == ("# first of all\napt-get update && apt-get install -y restic",)
    assert found.steps[3].commands == ("mount /dev/sda1 /mnt",)
    assert found.minutes == 12


def test_prompts_go_and_so_does_what_was_printed(tmp_path: Path) -> None:
    assert book(tmp_path, THEIRS).steps[-1].commands == (
        "restic -r /mnt/usb \\\n  restore latest",
        "systemctl restart mosquitto",
        "reboot",
    )


@pytest.mark.parametrize(
    ("fence", "commands"),
    [
        ("```sh\n$ echo a\na\n$ echo b\n```", ("echo a", "echo b")),
        ("```sh\n# echo a\necho b\n```", ("# echo a\necho b",)),
        ("```console\necho a\necho b\n```", ("echo a\necho b",)),
        ("```console\npi@raspberrypi:~ $ sudo ls /\nbin  boot\n```", ("sudo ls /",)),
        ("```{.bash}\necho a\n```", ("echo a",)),
        ("~~~shell\necho a\n~~~", ("echo a",)),
        ("> ```sh\n> echo a\n> ```", ("echo a",)),
        ("- so:\n\n  ```sh\n  echo a\n  ```", ("echo a",)),
        ("````sh\ncat <<X\n```sh\nX\n````", ("cat <<X\n```sh\nX",)),
        ("```sh\necho a\n```\n\n```toml\na = 1\n```", ("echo a",)),
        ("```sh\r\necho a\r\n```\r\n", ("echo a",)),
    ],
)
def test_a_fence_holds_what_is_typed(tmp_path: Path, fence: str, commands: tuple[str, ...]) -> None:
    (step,) = book(tmp_path, f"## Do it\n\n{fence}\n").steps
    assert step.commands == commands


@pytest.mark.parametrize(
    ("title", "bare", "minutes"),
    [
        ("3. Flash the card (8 min)", "Flash the card", 8.0),
        ("Step 3: Flash the card, 1 h 30 min", "Flash the card, 1 h 30 min", 90.0),
        ("3) Wait half an hour", "Wait half an hour", 30.0),
        ("Fetch the disk from the safe (about 1.5 hours)", "Fetch the disk from the safe", 90.0),
        ("Flash it (8m)", "Flash it", 8.0),
        ("Flash it (1h30m)", "Flash it", 90.0),
        ("Take the 5 m cable (the blue one)", "Take the 5 m cable (the blue one)", 0.0),
        ("Count to 30 seconds", "Count to 30 seconds", 0.5),
        ("3 cards", "3 cards", 0.0),
    ],
)
def test_minutes_are_read_from_words(tmp_path: Path, title: str, bare: str, minutes: float) -> None:
    found = book(tmp_path, f"## {title}\n\n## 4. Type\n\n```sh\ntrue\n```\n")
    if minutes or (title[0] == "3" and title[1] != " "):
        assert (found.steps[0].title, found.steps[0].how, found.steps[0].minutes) == (bare, "by hand", minutes)
    else:  # without a number, where others have one, it is text
        assert [step.title for step in found.steps if step.title == bare] == []


def test_numbers_are_their_own_where_each_has_one_and_counted_elsewhere(tmp_path: Path) -> None:
    three = "## {}. A\n\n```sh\na\n```\n\n## {}. B\n\n```sh\nb\n```\n"
    assert [step.number for step in book(tmp_path, three.format(3, 7)).steps] == [3, 7]
    assert [step.number for step in book(tmp_path, three.format(3, 3)).steps] == [1, 2]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.md", b"## A\n\n```sh\ncaf\xe9\n```\n", "a.md: line 4 is not text in UTF-8"),
        ("a.md", b"## A\n\n```sh\na\0b\n```\n", "a.md: line 4 holds a NUL character"),
        ("a.md", b"", "a.md: no step types anything"),
        ("a.md", b"# Title\n\nWords.\n", "a.md: no step types anything"),
        ("a.md", b"```sh\nwithout a heading\n```\n", "a.md: no step types anything"),
        ("a.md", b"## A\n\n```sh\necho a\n", "a.md: line 3 opens a fence that is never closed"),
        ("a.md", b"## A\n\n```sh\necho a\n\n## B\n\n```sh\necho b\n```\n", "a.md: line 3 opens a fence that is never closed"),
        ("a.md", b"## A\n\n1. x\n\n   ```sh\n   echo a\n\n2. y\n", "a.md: line 5 opens a fence that is never closed"),
        ("a.sh", b"#!/bin/sh\napt-get update\n", "a.sh: no step types anything"),
        ("a.sh", b"#!/bin/sh\n#: stp 1 x\napt-get update\n", "a.sh: line 2 begins like the mark of a step and is none"),
        ("a.html", b"<html>", "a.html is a page to read and not to run"),
        ("a.md", b"x" * (LARGEST + 1), "a.md is larger than 1 MiB"),
    ],
)
def test_what_cannot_be_followed_is_one_sentence(tmp_path: Path, name: str, text: bytes, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        book(tmp_path, text, name)
    assert f"{tmp_path}/{said}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.md", "does not exist"), (tmp_path, "is a folder"), (Path("/dev/zero"), "no ordinary")):
        with pytest.raises(PlanError, match=said):
            read(path)
