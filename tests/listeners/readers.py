"""The readers: how each is brought in, once, and what it makes of a message."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.listeners.messages import KINDS, SEEN, SEEN_BY_PYDOCUSIGN, body

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parents[1] / ".listeners"
"""Where they are installed; kept between runs."""

_SECONDS: Final = 300
"""That an installation, or a reader, may take."""


class Missing(Exception):
    """This machine does not have it, and cannot; the message says why."""


class Misread(Exception):
    """The reader refused the message; what it said."""


@dataclass(frozen=True)
class Reader:
    """A listener's way to read: its name, and the command that reads, given its folder."""

    name: str
    about: str
    command: Callable[[Path], Sequence[str]]
    seen: Mapping[str, Mapping[str, Any]]

    def read(self, kind: str, message: bytes | None = None) -> Any:
        """What it sees of a message of that format; None: ours. Raises Missing, Misread."""
        folder = FOLDER / self.name
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            command = self.command(folder)
        done = subprocess.run(
            [*command, kind],
            cwd=folder,
            input=body(kind) if message is None else message,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise Misread(done.stderr.decode(errors="replace").strip()[-2000:])
        return json.loads(done.stdout)


@contextmanager
def _alone(folder: Path) -> Any:
    """One worker installs for all."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _xml2js(folder: Path) -> Sequence[str]:
    node, npm = _program("node"), _program("npm")
    if not (folder / "node_modules" / ".package-lock.json").exists():
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / "node" / name, folder)
        _run(folder, [npm, "ci", "--silent"])
    return [node, str(HERE / "node" / "read.mjs")]


def _go(folder: Path) -> Sequence[str]:
    source, made = HERE / "go" / "read.go", folder / "read"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        _run(folder, [_program("go"), "build", "-o", str(made), str(source)])
    return [str(made)]


def _jackson(folder: Path) -> Sequence[str]:
    java, javac, mvn = _program("java"), _program("javac"), _program("mvn")
    path, source = folder / "classpath", HERE / "java" / "Read.java"
    if not path.exists():
        shutil.copy(HERE / "java" / "pom.xml", folder)
        goal = ("dependency:build-classpath", f"-Dmdep.outputFile={path}")
        _run(folder, [mvn, "--quiet", "--batch-mode", *goal])
    made = folder / "Read.class"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        _run(folder, [javac, "-cp", path.read_text(), "-d", str(folder), str(source)])
    return [java, "-cp", os.pathsep.join([str(folder), path.read_text()]), "Read"]


def _pydocusign(folder: Path) -> Sequence[str]:
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        _run(folder, [sys.executable, "-m", "venv", str(folder)])
        # It asks setuptools for pkg_resources, which is no longer part of every environment.
        wanted = ("pydocusign==1.2", "setuptools<81")
        _run(folder, [str(python), "-m", "pip", "install", "--quiet", *wanted])
        (folder / "installed").touch()
    return [str(python), str(HERE / "read_pydocusign.py")]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not on this machine")
    return found


def _run(folder: Path, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} did not end within {_SECONDS} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"{Path(command[0]).name} failed: {said[-1] if said else done.returncode}")


XML2JS: Final = Reader("xml2js", "xml2js 0.6.2 without options, JSON.parse (Node)", _xml2js, SEEN)

READERS: Final = (
    XML2JS,
    Reader("go", "encoding/xml and encoding/json into structs (Go)", _go, SEEN),
    Reader("jackson", "Jackson 2.17 that refuses what it does not know (Java)", _jackson, SEEN),
    Reader(
        "pydocusign",
        "pydocusign 1.2, the last with a parser of posts (Python)",
        _pydocusign,
        {kind: SEEN_BY_PYDOCUSIGN for kind in KINDS if kind in ("xml", "soap")},
    ),
)
