"""Brings what the console takes from npm: `python -m tests.console.vendor`.

Each vendor.toml names packages with their version and the sha512 of npm's tarball, and which of
their files lie beside it, with theirs. To renew one, write the new version, run it with --renew,
and look at what has changed. Needs npm; the tests of what is there do not.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LISTS = (
    ROOT / "src/heliograph/console/static/vendor/vendor.toml",
    ROOT / "tests/console/vendor/vendor.toml",
)


@dataclass
class Package:
    """One package of a list: its files by their path in the tarball, with their sha512."""

    name: str
    version: str
    sha512: str
    licence: str
    files: dict[str, str]

    @property
    def folder(self) -> str:
        return f"{self.name.partition('.')[0]}-{self.version}"


def packages(listed: Path) -> list[Package]:
    """Those of a vendor.toml."""
    return [Package(**one) for one in tomllib.loads(listed.read_text())["package"]]


def digest(content: bytes) -> str:
    """As npm writes it."""
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


def problems(listed: Path) -> Iterator[str]:
    """What of the files beside a list is not as the list has it."""
    wanted = {}
    for package in packages(listed):
        for path, expected in package.files.items():
            file = listed.parent / package.folder / Path(path).name
            wanted[file] = expected
            if not file.exists():
                yield f"{file} is missing"
            elif digest(file.read_bytes()) != expected:
                yield f"{file} is not as it was published"
        if not any("LICENSE" in path for path in package.files):
            yield f"{package.name} has no licence beside it"
    there = {file for file in listed.parent.rglob("*") if file.is_file()} - {listed}
    yield from (f"{file} is in no list" for file in there - wanted.keys())


def bring(package: Package, place: Path, *, renew: bool) -> None:
    """Fetch a package and lay its files down; with `renew` its digests become what they are."""
    with tempfile.TemporaryDirectory() as work:
        named = f"{package.name}@{package.version}"
        subprocess.run(["npm", "pack", "--silent", named], cwd=work, check=True)  # noqa: S607
        (tarball,) = Path(work).glob("*.tgz")
        content = tarball.read_bytes()
        if not renew:
            assert digest(content) == package.sha512, f"{named}: npm has another tarball"
        package.sha512 = digest(content)
        folder = place / package.folder
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(tarball) as members:
            for path in package.files:
                member = members.extractfile(f"package/{path}")
                assert member is not None, f"{named} has no {path}"
                made = member.read()
                package.files[path] = digest(made)
                (folder / Path(path).name).write_bytes(made)


def written(listed: list[Package]) -> str:
    """A vendor.toml."""
    lines = []
    for package in listed:
        lines += ["[[package]]", f'name = "{package.name}"', f'version = "{package.version}"']
        lines += [f'licence = "{package.licence}"', f'sha512 = "{package.sha512}"', ""]
        lines += ["[package.files]"]
        lines += [f'"{path}" = "{one}"' for path, one in package.files.items()] + [""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renew", action="store_true", help="write digests down, not compare them")
    renew = parser.parse_args().renew
    for listed in LISTS:
        found = packages(listed)
        for package in found:
            bring(package, listed.parent, renew=renew)
        if renew:
            listed.write_text(written(found))
        for problem in problems(listed):
            raise SystemExit(problem)


if __name__ == "__main__":
    main()
