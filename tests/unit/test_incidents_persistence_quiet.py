"""Quiet ways back are told, and what owners do between two backups is not taken for one."""

from __future__ import annotations

import pytest

from muster.incidents.acting import acting, difference
from muster.incidents.laid import Item
from tests.fake.laid import file, link

ROOTS = ["/etc", "/usr/local", "/home"]
BROKER = "/etc/mosquitto/conf.d/x.conf"
CLUSTER = "/etc/postgresql/17/main/postgresql.conf"
SITE = "/etc/nginx/conf.d/x.conf"
HASH = "$7$101$abc"


def _told(path: str, then: Item | None, now: Item | None, beside: dict[str, Item] | None = None) -> list[str]:
    """How one thing differs, as a comparison sees it; `beside` lies in both restore points."""
    old = (beside or {}) | ({path: then} if then else {})
    new = (beside or {}) | ({path: now} if now else {})
    where = (acting(old, ROOTS) | acting(new, ROOTS)).get(path)
    return difference(where, now, then) if where else []


QUIET = [
    (BROKER, None, file("connection far\naddress far.invalid:8883\ntopic # both\n")),
    (BROKER, file("acl_file /etc/mosquitto/rights\n"), file("")),
    (BROKER, file("allow_anonymous false\n"), file("")),
    (BROKER, file("password_file /etc/keys/p\n"), file("password_file /srv/p\n")),
    (BROKER, file("persistence true\n"), file("# " + "\0" + "\nplugin /srv/x.so\n")),
    (BROKER, file("persistence true\n"), file("persistence true\n", 0o666)),
    (BROKER, file("persistence true\n"), link("/srv/media/x.conf")),
    ("/etc/mosquitto/passwords", file(f"ingest:{HASH}\n"), file(f"ingest:{HASH}\neve:{HASH}\n")),
    ("/etc/keys/mosquitto.passwd", file(f"ingest:{HASH}\n"), file(f"ingest:{HASH}\neve:{HASH}\n")),
    ("/etc/mosquitto/dynamic-security.json", file("{}"), file('{"clients": [{"username": "eve"}]}')),
    ("/etc/nginx/modules-enabled/50-x.conf", None, link("/usr/share/nginx/modules-available/x.conf")),
    (SITE, None, file("include /srv/media/x.conf;")),
    (SITE, None, file("server { location /x { alias /; } }")),
    (SITE, None, file("server { location /x { proxy_pass http://far.invalid; } }")),
    (SITE, file("auth_basic closed;\n"), file("")),
    ("/etc/nginx/nginx.conf", file("user www-data;\n"), file("user root;\n")),
    (CLUSTER, file("port = 5432\n"), file("port = 5432\ndynamic_library_path = '/srv'\n")),
    (CLUSTER, file("port = 5432\n"), file("port = 5432\nhba_file = '/srv/hba'\n")),
    ("/etc/postgresql/17/main/environment", file(""), file("LD_PRELOAD = '/srv/x.so'\n")),
    ("/etc/ssh/believed.pub", file("ssh-ed25519 AAAA ca"), file("ssh-ed25519 BBBB ca")),
    ("/home/pi/.psqlrc", None, file("\\! id")),
    ("/home/pi/.config/tmux/tmux.conf", None, file("run-shell id")),
    ("/home/pi/.inputrc", None, file('"\\C-m": "id"')),
    ("/etc/audit/plugins.d/x.conf", None, file("path = /srv/x")),
    ("/etc/letsencrypt/renewal-hooks/deploy/x", None, file("id")),
    ("/etc/letsencrypt/renewal/pi.conf", file("version = 4\n"), file("version = 4\npost_hook = /srv/x\n")),
    ("/etc/rsyslog.d/x.conf", None, file("*.* ^/srv/x")),
    ("/etc/smartd.conf", file("DEVICESCAN\n"), file("DEVICESCAN -M exec /srv/x\n")),
    ("/etc/fstab", file(""), file("/srv/bin /usr/bin none bind 0 0\n")),
    ("/etc/hosts", file("127.0.0.1 localhost\n"), file("127.0.0.1 localhost\n192.0.2.1 deb.debian.org\n")),
    ("/usr/share/keyrings/x.gpg", None, file("key")),
    ("/var/lib/polkit-1/localauthority/50-local.d/x.pkla", None, file("[x]")),
    ("/etc/telemetry/helper.py", file("1"), file("2")),
    ("/etc/shadow", file("pi:!:1::::::\n"), file("pi:$y$j9T$abc:1::::::\n")),
    ("/etc/passwd", file("app:x:900:900::/:/usr/sbin/nologin\n"), file("app:x:900:900::/:/bin/sh\n")),
    ("/etc/passwd", file(""), file("app:x:900:900::/:\n")),
    ("/etc/passwd", file(""), file("app:x:900:900::/:/srv/nologin\n")),
    ("/etc/group", file("sudo:x:27:pi\n"), file("sudo:x:27:pi,app\n")),
]


@pytest.mark.parametrize(("path", "then", "now"), QUIET)
def test_a_quiet_way_back_is_told(path: str, then: Item | None, now: Item) -> None:
    assert _told(path, then, now)


OWN = [
    ("/etc/mosquitto/passwords", file("ingest:$7$101$abc\n"), file("ingest:$7$101$xyz\n")),
    ("/etc/keys/mosquitto.passwd", file("ingest:$7$101$abc\n"), file("ingest:$7$101$xyz\n")),
    ("/etc/keys/mqtt-ingest.password", file("one"), file("two")),
    (BROKER, file("persistence true\n"), file("persistence true\nmax_inflight_messages 40\n# plugin x\n")),
    (SITE, file("listen 443;\n"), file("listen 443;\nroot /var/www/html;\nproxy_pass http://127.0.0.1:8080;\n")),
    (SITE, None, file("ssl_certificate /etc/nginx/pi.crt;\ninclude /etc/nginx/snippets/x.conf;\n")),
    ("/etc/nginx/pi.crt", file("-----BEGIN CERTIFICATE-----\nold"), file("-----BEGIN CERTIFICATE-----\nnew")),
    ("/etc/nginx/sites-enabled/x", None, link("../sites-available/x")),
    (CLUSTER, file("shared_buffers = 128MB\n"), file("shared_buffers = 256MB\nmax_connections = 50\n")),
    ("/etc/letsencrypt/renewal/pi.conf", file("version = 4\n"), file("version = 5\n")),
    ("/etc/hosts", file("127.0.0.1 localhost\n"), file("127.0.0.1 localhost\n192.0.2.7 nas\n")),
    ("/etc/fstab", file(""), file("UUID=1 /mnt/usb ext4 defaults,nofail 0 2\n")),
    ("/etc/passwd", file(""), file("_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n")),
    ("/etc/shadow", file("pi:$y$j9T$abc:1::::::\n"), file("pi:$y$j9T$abc:1:0:99999:7:::\n_apt:!:1::::::\n")),
    ("/etc/group", file(""), file("_apt:x:42:\n")),
    ("/etc/ssh/ssh_host_ed25519_key.pub", file("ssh-ed25519 AAAA"), file("ssh-ed25519 BBBB")),
    ("/var/log/app.log", file("one"), file("two")),
]


@pytest.mark.parametrize(("path", "then", "now"), OWN)
def test_what_owners_and_packages_do_is_no_way_back(path: str, then: Item | None, now: Item) -> None:
    assert _told(path, then, now) == []


def test_what_a_program_reads_as_its_own_counts_too() -> None:
    program = {"/usr/local/bin/nightly": file("#!/bin/sh\nif [ -f /etc/app/settings ]; then . /etc/app/settings; fi\n", 0o755)}
    assert _told("/etc/app/settings", file("a=1"), file("a=$(id)"), program) == ["has another content"]


def test_what_is_named_by_what_is_named_counts_too() -> None:
    chain = {"/etc/cron.d/x": file("@daily root sh /srv/one.sh"), "/srv/one.sh": file("#!/bin/sh\n. /srv/two\n")}
    assert _told("/srv/two", file("a"), file("b"), chain) == ["has another content"]


def test_keys_that_sshd_believes_count_wherever_they_lie() -> None:
    settings = {"/etc/ssh/sshd_config": file("AuthorizedKeysFile .ssh/authorized_keys /srv/keys/%u\n")}
    assert _told("/srv/keys/pi", file("ssh-ed25519 AAAA"), file("ssh-ed25519 BBBB"), settings) == ["has another content"]
    assert _told("/srv/elsewhere", file("ssh-ed25519 AAAA"), file("ssh-ed25519 BBBB"), settings) == []
