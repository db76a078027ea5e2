#!/bin/sh
# Make this host able to run drills: the Debian packages that are missing, and a container engine that answers.
# Says in one sentence what it needs when it cannot. Does nothing, at once, when everything is there.
# `host.sh python` asks for no more than a Python that can make a virtual environment; `host.sh vm` for what virtual Pis need
# on top of all else: QEMU for both architectures, and the programs that read their disks; `host.sh browser` for no more than
# the browser that Muster's own tests open its pages in, a font that has their signs, and the git that workflows are run with.
set -eu

PATH=$PATH:/usr/sbin:/sbin  # where the engine and iptables are, which a user's own path leaves out
packages="docker.io mmdebstrap openssh-client"
say() { printf '%s\n' "muster: $*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "this needs root or sudo to run: $*"
    fi
}

# An engine of the user's own choice (DOCKER_HOST, a context, Podman) is never replaced.
engine_answers() {
    [ -n "${DOCKER_HOST:-}" ] && return 0
    [ -S /var/run/docker.sock ] || return 1
    # Any answer will do, even "permission denied": then an engine is there, and Muster says what to do about it.
    python3 - <<'PY' 2>/dev/null
import http.client, socket, sys
try:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect("/var/run/docker.sock")
        s.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        sys.exit(b"200" not in s.recv(64))
except PermissionError:
    sys.exit(0)
except OSError:
    sys.exit(1)
PY
}

install_missing() {
    command -v apt-get >/dev/null || die "no apt-get here: install these yourself, then run this again: $*"
    say "installing $* (once)"
    as_root apt-get update -qq || die "apt-get update failed: see the lines above"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "apt-get could not install $*: see the lines above"
}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "Python 3.11 or newer is needed as python3."
if [ "${1:-}" = python ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_missing python3-venv
    exit 0
fi

if [ "${1:-}" = browser ]; then
    command -v git >/dev/null || install_missing git
    for browser in chromium chromium-browser google-chrome; do command -v "$browser" >/dev/null && exit 0; done
    install_missing chromium fonts-dejavu-core
    exit 0
fi

if [ "${1:-}" = vm ]; then packages="$packages qemu-system-arm qemu-system-x86 qemu-utils ipxe-qemu mtools"; fi

missing=""
for package in $packages; do
    case "$package" in docker.io) engine_answers && continue; command -v dockerd >/dev/null && continue ;; esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
# The engine's network rules need iptables, which docker.io only recommends on some releases.
command -v iptables >/dev/null || missing="$missing iptables"
# shellcheck disable=SC2086  # a list of package names
[ -z "$missing" ] || install_missing $missing

# The engine's socket belongs to a group; images/stage.sh enters it before the next login does.
if [ "$(id -u)" != 0 ] && getent group docker >/dev/null && ! id -nG "$(id -un)" | grep -qw docker; then
    [ -n "${DOCKER_HOST:-}" ] || { say "putting $(id -un) into the group docker"; as_root usermod -aG docker "$(id -un)"; }
fi

if ! engine_answers; then
    say "starting the container engine"
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker || die "systemd could not start docker: journalctl -u docker says why"
    else
        # Not /etc/init.d/docker: it raises a limit first, which needs CAP_SYS_RESOURCE, and gives up without it.
        as_root sh -c 'setsid dockerd >>/var/log/docker.log 2>&1 </dev/null &'
    fi
    tries=0
    until engine_answers; do
        tries=$((tries + 1))
        [ "$tries" -lt 120 ] || die "the container engine does not answer after 60 s: /var/log/docker.log says why"
        sleep 0.5
    done
fi
