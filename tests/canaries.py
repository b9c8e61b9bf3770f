"""Canaries (S7): texts that are planted where a secret belongs, and looked for everywhere else."""

from __future__ import annotations

import base64
import importlib
import pkgutil
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from heliograph import wire
from tests.tenants import inside

_SECRET_NAME = re.compile(
    r"(secret|password|passphrase|pass|authcode|token|privatekey|accesscode|assertion|apikey)s?$",
    re.IGNORECASE,
)


def secret_fields() -> set[str]:
    """Every text of a message on the wire whose name says that it holds a secret."""
    found = set()
    for module in pkgutil.iter_modules(wire.__path__):
        for shape in vars(importlib.import_module(f"heliograph.wire.{module.name}")).values():
            if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
                found |= {
                    f"{shape.__name__}.{one.encode_name}"
                    for one in msgspec.structs.fields(shape)
                    if _SECRET_NAME.search(one.encode_name) and str in inside(one.type)
                }
    return found


def forms(secret: bytes) -> dict[str, bytes]:
    """How a secret looks as it is, in hexadecimal, and inside Base64 wherever it begins."""
    found = {"as it is": secret, "hexadecimal": secret.hex().encode()}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        # What its neighbours decide is cut off.
        text = text[(0, 2, 3)[shift] : (shift + len(secret)) * 8 // 6]
        found[f"Base64, {shift} bytes in"] = text
        found[f"Base64 of URLs, {shift} bytes in"] = text.translate(bytes.maketrans(b"+/", b"-_"))
    return found


@dataclass
class Canaries:
    """What was planted and issued. All that is planted begins with one mark."""

    mark: str = field(default_factory=lambda: f"kY{secrets.token_hex(5)}")
    planted: set[str] = field(default_factory=set)
    secrets: int = 0
    _looked_for: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._look_for("a planted secret", self.mark.encode())

    def plant(self, name: str) -> str:
        """A secret of our choice for a field."""
        self.secrets += name not in self.planted
        self.planted.add(name)
        return f"{self.mark}-{re.sub('[^A-Za-z]', '-', name)}"

    def know(self, name: str, secret: str | bytes) -> None:
        """A secret that was made for us."""
        self.planted.add(name)
        self._look_for(name, secret.encode() if isinstance(secret, str) else secret)

    def _look_for(self, name: str, secret: bytes) -> None:
        assert len(secret) >= 12, "a short one would be found by chance"
        # By the text: there are many of one name, such as each token that a grant brings.
        self.secrets += secret not in self._looked_for
        self._looked_for |= {text: f"{name}, {form}" for form, text in forms(secret).items()}

    def in_bytes(self, data: bytes, where: str) -> list[str]:
        """What is found, with its surroundings."""
        return [
            f"{where}: {name}: ...{data[max(0, at - 60) : at + 90]!r}"
            for text, name in self._looked_for.items()
            if (at := data.find(text)) >= 0
        ]

    def in_folder(self, folder: Path, *spared: str) -> list[str]:
        """What is found in the files below a folder, but for these names."""
        found, scanned = [], 0
        for path in files(folder):
            if path.name not in spared:
                found += self.in_bytes(path.read_bytes(), str(path.relative_to(folder)))
                scanned += 1
        assert scanned, f"{folder} has no files"
        return found

    def in_database(self, url: str) -> list[str]:
        """What is found in the rows of a PostgreSQL database: files may hold them compressed."""
        found = []
        for table, rows in tables(url).items():
            text = b"".join(
                bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                for one in rows
                for value in one
            )
            found += self.in_bytes(text, f"table {table}")
        return found


def files(folder: Path) -> Iterator[Path]:
    """Every plain file below a folder that is still there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path


def tables(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a PostgreSQL database with its rows."""
    with psycopg.connect(url, autocommit=True) as db:
        names = db.execute(
            "select tablename from pg_tables where schemaname = 'public' order by 1"
        ).fetchall()
        return {
            name: db.execute(sql.SQL("select * from {}").format(sql.Identifier(name))).fetchall()
            for (name,) in names
        }
