"""Node and DocuSign's SDK for it: where they are, brought in on first use, or why they are not."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.needed import program, without

FOLDER = Path(__file__).parent / "node"
VERSION: str = json.loads((FOLDER / "package.json").read_text())["dependencies"]["docusign-esign"]

_INSTALL_SECONDS = 100


def node() -> str:
    """The path of node; `tests/sdk/node/node_modules` has the SDK.

    Without node, npm or a registry the test is skipped, but where CI runs it fails: CI is to
    bring them (.ci/run).
    """
    found = program("node")
    if reason := _missing():
        raise without(reason)
    return found


@cache
def _missing() -> str | None:
    """Why the SDK is not there, after an attempt to bring it in."""
    with (FOLDER / "package.json").open() as lock:  # one worker of xdist installs for all
        fcntl.flock(lock, fcntl.LOCK_EX)
        return None if _installed() == VERSION else _install()


def _installed() -> str | None:
    package = FOLDER / "node_modules" / "docusign-esign" / "package.json"
    # npm writes its own list last: without it, it was interrupted.
    if not (FOLDER / "node_modules" / ".package-lock.json").exists() or not package.exists():
        return None
    version: str = json.loads(package.read_text())["version"]
    return version


def _install() -> str | None:
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    try:
        done = subprocess.run(
            [npm, "ci"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"npm did not end within {_INSTALL_SECONDS} s"
    if done.returncode != 0:
        return f"npm could not install docusign-esign {VERSION}: {done.stderr.strip()}"
    return None
