"""The off-site store of the sample: its keys, its users, its network."""

from muster.faults import fault


@fault("repository", "host-key-changed", everywhere=True)
def the_host_shows_another_key(bed):
    """The off-site host is another one than it was, or somebody is in between."""
    key = (bed.folder / "store/host_key.pub").read_text().split()[1]
    known = bed.folder / "secrets/known_hosts"
    known.write_text(known.read_text().replace(key, f"{key[:-6]}AAAAAA"))
    return "offsite"


@fault("repository", "ssh-refused", everywhere=True)
def the_host_refuses_our_key(bed):
    """The account's keys were cleaned up, and ours is not among them any more."""
    (bed.folder / "store/authorized_keys").write_text("")
    return "offsite"


@fault("repository", "repository-unreachable", everywhere=True)
def the_off_site_host_is_down(bed):
    """Nobody answers at the off-site host."""
    bed.change_plan(lambda table: table["repositories"]["offsite"].update(url="sftp:backup@offsite.invalid:/restic/telemetry"))
    return "offsite"


@fault("repository", "repository-unreadable", everywhere=True)
def the_files_belong_to_somebody_else(bed):
    """Root copied the off-site repository around: its files are not the account's any more."""
    where = bed.files("offsite")
    bed.run(f"chown -R root:root {bed.at}/{where.relative_to(bed.folder)}; chmod -R go= {bed.at}/{where.relative_to(bed.folder)}")
    return "offsite"


@fault("backup", "copies-not-independent", everywhere=True)
def two_repositories_are_one(bed):
    """The plan names two repositories, and both are the same folder."""
    usb = bed.files("usb")
    (bed.folder / "second-disk").symlink_to(usb)
    second = {"url": str(bed.folder / "second-disk"), "at": "/mnt/second", "media": "hdd"}
    bed.change_plan(lambda table: table["repositories"].update(second=table["repositories"]["usb"] | second))
    return ""
