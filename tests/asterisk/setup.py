"""Install a real Asterisk into a cache folder outside the checkout: ``python -m tests.asterisk.setup [22|16]…``.

Debian 12 has no asterisk package, other Debian suites have: 22 in forky, 16 in bullseye. Each goes into a
debootstrap folder of its own below ``$PBXCRM_TEST_CACHE`` (default ``~/.cache/pbxcrm-tests``), about 590 MB. The
mirror is the one this machine's own apt uses.
"""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

SUITES = {"22": "forky", "16": "bullseye"}
PACKAGES: dict[str, tuple[str, ...]] = {"22": ("asterisk", "asterisk-core-sounds-en-gsm", "asterisk-moh-opsound-gsm")}
PACKAGES["16"] = (*PACKAGES["22"], "asterisk-voicemail")  # since then part of the first
NO_SERVICES = "#!/bin/sh\nexit 101\n"  # policy-rc.d: a package must not start its daemon inside the folder
SCRIPTS = Path("/usr/share/debootstrap/scripts")


class CannotSetUpError(Exception):
    """Asterisk cannot be had on this machine; the message is one line that says why."""


def cache_folder() -> Path:
    """Where the installations are kept between runs."""
    chosen = os.environ.get("PBXCRM_TEST_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "pbxcrm-tests"


def ensure(version: str) -> Path:
    """The root folder of an installed Asterisk of that version, made now if it is missing.

    Sessions that ask at the same time wait for each other. A run that dies half-way leaves only a temporary folder,
    which the next one removes.
    """
    target = cache_folder() / f"asterisk-{version}"
    if (target / "usr/sbin/asterisk").exists():
        return target
    if os.geteuid() != 0:
        raise CannotSetUpError("only root can install and run Asterisk (debootstrap and chroot)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(target.with_suffix(".lock")) as lock:
        if not (target / "usr/sbin/asterisk").exists():
            _clear_half_finished(target)
            _build(version, target, lock)
    return target


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[int]:
    """Hold the lock; its descriptor is handed to child processes, so that it lasts until the last orphan has ended."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _clear_half_finished(target: Path) -> None:
    for leftover in target.parent.glob(f"{target.name}.part-*"):
        for mount in _mounts_below(leftover):
            subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(leftover)


def _mounts_below(folder: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((m for m in mounts if Path(m).is_relative_to(folder)), reverse=True)


def _build(version: str, target: Path, lock: int) -> None:
    run = partial(_run, lock=lock)
    mirror = debian_mirror()
    _install_debootstrap(run)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
    unfinished.chmod(0o755)
    # Script "sid" serves every suite since 2011; older hosts merely lack the link named after the newest suite.
    run("debootstrap", "--variant=minbase", SUITES[version], str(unfinished), mirror, str(SCRIPTS / "sid"))
    policy = unfinished / "usr/sbin/policy-rc.d"
    policy.write_text(NO_SERVICES)
    policy.chmod(0o755)
    (unfinished / "etc/apt/apt.conf.d/90-as-the-host").write_text(_host_apt_settings())
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    run("chroot", str(unfinished), "apt-get", "update", environment=environment)
    install = ("apt-get", "install", "-y", "--no-install-recommends", *PACKAGES[version])
    run("chroot", str(unfinished), *install, environment=environment)
    run("chroot", str(unfinished), "apt-get", "clean")
    unfinished.rename(target)


def _host_apt_settings() -> str:
    """What this machine's apt says of proxies and of mirrors older than the clock, for the apt in the folder."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], text=True, capture_output=True, check=True).stdout
    wanted = re.compile(r"Acquire::(Check-Valid-Until|Check-Date|https?::Proxy\S*) ", flags=re.IGNORECASE)
    return "".join(f"{line}\n" for line in dump.splitlines() if wanted.match(line))


def _install_debootstrap(run: Callable[..., None]) -> None:
    if shutil.which("debootstrap") is None:
        run("apt-get", "update")
        run("apt-get", "install", "-y", "--no-install-recommends", "debootstrap")


def _run(*command: str, lock: int, environment: dict[str, str] | None = None) -> None:
    # If we are killed, the command is, too; what it had started itself keeps the lock until it ends.
    guarded = ("setpriv", "--pdeathsig", "KILL", *command)
    try:
        done = subprocess.run(
            guarded,
            env=environment,
            pass_fds=(lock,),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotSetUpError(f"{command[0]} could not be run: {error}") from error
    if done.returncode != 0:
        last = " / ".join(done.stdout.strip().splitlines()[-3:])
        raise CannotSetUpError(f"{' '.join(command[:4])}… failed (no network, or no such suite there?): {last}")


def debian_mirror(apt: Path = Path("/etc/apt")) -> str:
    """The archive from which this machine installs Debian itself, by its own apt configuration."""
    for path in [
        *sorted(apt.glob("sources.list.d/*.sources")),
        apt / "sources.list",
        *sorted(apt.glob("sources.list.d/*.list")),
    ]:
        text = path.read_text(errors="replace") if path.exists() else ""
        for found in re.findall(r"^(?:URIs:|deb\s+(?:\[[^]]*\]\s+)?)\s*(\S+)", text, flags=re.MULTILINE):
            mirror = str(found)
            if re.search(r"/debian/?$", mirror):
                return mirror
    raise CannotSetUpError(f"no Debian archive in {apt}/sources.list*, so there is nowhere to install Asterisk from")


def _known(version: str) -> str:
    if version not in SUITES:
        raise argparse.ArgumentTypeError(f"{version} is none of {', '.join(SUITES)}")
    return version


def main(arguments: list[str] | None = None) -> int:
    """Install the versions named in ``arguments`` (the command line's when None), or all of them."""
    parser = argparse.ArgumentParser(description="Install Asterisk for the tests.")
    # No ``choices``: with nargs="*" Python 3.11 refuses the default itself as an invalid choice.
    parser.add_argument("versions", nargs="*", type=_known, metavar="22|16", help="all of them when none is named")
    for version in parser.parse_args(arguments).versions or list(SUITES):
        try:
            print(f"Asterisk {version}: {ensure(version)}")
        except CannotSetUpError as error:
            print(f"Asterisk {version}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
