"""Programs that some tests need beside Python: they are there, or the test says what is not."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, but where CI runs it fails."""
    found = shutil.which(name)
    if found is None:
        raise without(f"{name} is not installed")
    return found


def without(reason: str) -> BaseException:
    """How a test ends that cannot have what it needs: CI brings it all (.ci/run)."""
    if os.environ.get("CI") == "true":
        return pytest.fail.Exception(f"{reason}: see .ci/run", pytrace=False)
    return pytest.skip.Exception(reason)
