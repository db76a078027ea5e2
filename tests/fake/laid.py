"""What a machine prints of a restore point that was laid out, and of itself, for tests of what intruders leave behind."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping

from muster.incidents.laid import Item

_TYPES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "other": tarfile.FIFOTYPE}


def file(content: str = "", mode: int = 0o644, *, uid: int = 0, granted: tuple[tuple[str, str], ...] = ()) -> Item:
    """A file as `muster.incidents.laid.read` has it."""
    raw = content.encode()
    return Item("file", mode, uid, uid, hashlib.sha256(raw).hexdigest(), raw, granted=granted)


def link(target: str) -> Item:
    """A link to somewhere."""
    return Item("link", 0o777, 0, 0, target=target)


def printed(items: Mapping[str, Item], large: Mapping[str, Item] | None = None) -> str:
    """What `muster.incidents.laid.reading` prints where these lie; of the `large` ones the content stays on the machine."""
    big = large or {}
    digests = "".join(f"{item.digest}  .{path}\0" for path, item in big.items()).encode()
    emptied = {path: Item(item.type, item.mode, item.uid, item.gid, content=b"") for path, item in big.items()}
    parts = (digests, _tar(emptied), _tar(items))
    return "".join(f"{base64.b64encode(part).decode()}\n" for part in parts) + "whole\n"


def _tar(items: Mapping[str, Item]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, item in items.items():
            member = tarfile.TarInfo(f".{path}")
            member.type, member.mode, member.uid, member.gid = _TYPES[item.type], item.mode, item.uid, item.gid
            member.linkname, member.size = item.target, len(item.content or b"")
            member.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in item.granted}
            tar.addfile(member, io.BytesIO(item.content or b""))
    return archive.getvalue()


def machine(**parts: str) -> str:
    """What `muster.incidents.whole.asking` prints of a clean machine, but for these parts."""
    clean = {
        "accounts": "root:x:0:0:root:/root:/bin/bash\nsync:x:4:65534:sync:/bin:/bin/sync\npi:x:1000:1000::/home/pi:/bin/bash\n",
        "passwords": "root L\npi P\n",
        "privileged": "4755 root:root /usr/bin/sudo\n",
        "capable": "/usr/bin/ping cap_net_raw=ep\n",
        "enabled": "ssh.service\n",
        "packages": "??5?????? c /etc/issue\n",
        "preloaded": "",
    }
    return "".join(f"== muster {name}\n{said}" for name, said in (clean | parts).items()) + "== muster end\n"
