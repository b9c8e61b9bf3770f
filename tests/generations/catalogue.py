"""Which generations there are, and how each is brought in and started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parents[1] / ".generations"
"""Where they are installed; kept between runs."""

_SECONDS: Final = 300
"""That an installation may take."""

_DONE: Final = "installed"


class Missing(Exception):
    """This machine does not have it, and cannot; the message says why."""


@dataclass(frozen=True)
class Generation:
    """One version of one SDK. `v2`: it speaks version 2 of the API."""

    language: str
    version: str
    v2: bool = False

    @property
    def name(self) -> str:
        return f"{self.language}-{self.version}"

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    def command(self) -> Sequence[str]:
        """What starts it, once it is installed. Raises Missing."""
        return _HOW[self.language](self)

    def environment(self, authority: Path) -> Mapping[str, str]:
        """Variables that it needs to trust a server whose authority (PEM) that is."""
        match self.language:
            case "node":
                modules = str(self.folder / "node_modules")
                return {"NODE_EXTRA_CA_CERTS": str(authority), "NODE_PATH": modules}
            case "java":
                store = _truststore(authority)
                return {"JDK_JAVA_OPTIONS": f"-Djavax.net.ssl.trustStore={store}"}
            case _:
                return {"CA": str(authority)}


GENERATIONS: Final = (
    Generation("python", "1.0.3", v2=True),
    Generation("python", "3.26.0"),
    Generation("python", "4.0.0"),
    Generation("python", "5.4.0"),
    Generation("python", "6.1.0"),
    Generation("node", "3.3.1", v2=True),
    Generation("node", "5.20.0"),
    Generation("node", "8.7.0"),
    Generation("node", "10.0.0"),
    Generation("java", "2.9.0", v2=True),
    Generation("java", "6.4.0"),
)


def _python(one: Generation) -> Sequence[str]:
    python = str(one.folder / "bin" / "python")

    def install() -> None:
        _run(one, [sys.executable, "-m", "venv", str(one.folder)])
        # 1.0 asks setuptools for pkg_resources, which is no longer part of every environment.
        wanted = [f"docusign-esign=={one.version}", "setuptools<81"]
        _run(one, [python, "-m", "pip", "install", "--quiet", *wanted])

    _once(one, install)
    return [python, "-u", str(HERE / "bridge.py")]


def _node(one: Generation) -> Sequence[str]:
    node, npm = _program("node"), _program("npm")

    def install() -> None:
        (one.folder / "package.json").write_text('{"private": true}')
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts")
        _run(one, [npm, "install", *quiet, f"docusign-esign@{one.version}"])

    _once(one, install)
    return [node, str(HERE / "bridge.cjs")]


def _java(one: Generation) -> Sequence[str]:
    java, javac, mvn = _program("java"), _program("javac"), _program("mvn")
    path = one.folder / "classpath"

    def install() -> None:
        shutil.copy(HERE / "java" / f"pom-{one.version}.xml", one.folder / "pom.xml")
        goal = ("dependency:build-classpath", f"-Dmdep.outputFile={path}")
        _run(one, [mvn, "--quiet", "--batch-mode", *goal])
        source = str(HERE / "java" / "Bridge.java")
        _run(one, [javac, "-cp", path.read_text(), "-d", str(one.folder), source])

    _once(one, install)
    return [java, "-cp", os.pathsep.join([str(one.folder), path.read_text()]), "Bridge"]


_HOW: Final = {"python": _python, "node": _node, "java": _java}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not on this machine")
    return found


def _once(one: Generation, install: Callable[[], None]) -> None:
    if (one.folder / _DONE).exists():
        return
    shutil.rmtree(one.folder, ignore_errors=True)
    one.folder.mkdir(parents=True)
    install()
    (one.folder / _DONE).touch()


def _run(one: Generation, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=one.folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} did not end within {_SECONDS} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"{Path(command[0]).name} failed: {said[-1] if said else done.returncode}")


def _truststore(authority: Path) -> Path:
    """A truststore of Java with that authority alone, beside it."""
    store = authority.with_name("truststore.p12")
    if not store.exists():
        subprocess.run(
            [
                *(_program("keytool"), "-importcert", "-noprompt", "-alias", "heliograph"),
                *("-file", str(authority), "-keystore", str(store), "-storepass", "changeit"),
            ],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    return store
