"""The backup is good, and the clean machine is not what it has to be."""

from muster.faults import fault


@fault("recovery", "disk-full", caught_by="drill")
def the_new_disk_is_too_small(bed):
    """The new card is smaller than the old one: a part of the archive comes back."""
    bed.spoil("mount -t tmpfs -o size=1M tmpfs /srv")
    return ""


@fault("recovery", "no-restic", caught_by="drill")
def restic_is_not_installed(bed):
    """The clean machine has no restic."""
    bed.spoil("rm /usr/bin/restic")
    return ""


@fault("recovery", "hostname-differs", caught_by="drill", says="raspberrypi")
def the_machine_has_another_name(bed):
    """The new Pi kept the name that it came with: certificates and clients do not know it."""
    bed.spoil("hostname raspberrypi")
    return ""


@fault("recovery", "unit-failed", caught_by="drill", says="psycopg2")
def a_package_is_not_in_the_plan(bed):
    """A library was installed on the Pi by hand, and no plan names it."""
    bed.spoil("rm -r /usr/lib/python3/dist-packages/psycopg2")
    return "ingest"
