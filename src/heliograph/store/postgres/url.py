"""The URL of a PostgreSQL database, read before anybody connects; its text is never repeated.

libpq quotes what it cannot read, and what it reads wrongly: of `postgresql://user:p@ss@host/name`
it looks for a host `ss@host`, of `user:12/34@host` for a database `34@host`, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, timeout_from_conninfo

from heliograph.errors import UnusableSetting

# What libpq reads as one part although RFC 3986 does not, such as ? and # in a password, may stay.
_USER: Final = r"(?:[^\x00-\x20\x7f%@/]|%(?!00)[0-9A-Fa-f]{2})*"
_NAME: Final = r"(?:[^\x00-\x20\x7f%@?]|%(?!00)[0-9A-Fa-f]{2})*"
_HOST: Final = r"(?:\[[0-9A-Za-z:.%]+\]|(?:[^\x00-\x20\x7f%@/?#:,\[\]]|%(?!00)[0-9A-Fa-f]{2})*)"
_PLACE: Final = rf"{_HOST}(?::[0-9]*)?"
_URL: Final = re.compile(
    rf"postgres(?:ql)?://(?:{_USER}@)?{_PLACE}(?:,{_PLACE})*(?:/{_NAME})?"
    r"(?:\?[^\x00-\x20\x7f]*)?"
)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}|")
_MOST_PORT: Final = 65535

_BAD_VALUE: Final = re.compile(
    r'invalid (?P<value>\w+) value: |for connection option "(?P<option>\w+)"'
    r"|could not match \d+ (?P<number>port)|definition of (?P<service>service) "
    r"|could not parse network (?P<address>address)"
)
"""What libpq says of a parameter only when it connects."""


def parameters_of(url: str) -> Mapping[str, Any]:
    """The parameters that a URL, or libpq's `host=... dbname=...`, gives.

    Raises:
        UnusableSetting: it cannot be read, or can be read in two ways.
    """
    is_url = url.startswith(("postgresql://", "postgres://"))
    if not url.isprintable() or (is_url and _URL.fullmatch(url) is None):
        raise _unreadable()
    try:
        given = conninfo_to_dict(url)
        timeout_from_conninfo(given)
    except (psycopg.Error, ValueError, OverflowError):
        raise _unreadable() from None
    for port in str(given.get("port") or "").split(","):
        if _PORT.fullmatch(port) is None or int(port or 1) > _MOST_PORT:
            raise UnusableSetting("The port of the database URL must be a number from 1 to 65535.")
    return given


def unusable_parameter(error: psycopg.Error) -> UnusableSetting | None:
    """What to say where libpq refused to connect because of a parameter's value; else None."""
    found = _BAD_VALUE.search(str(error))
    if found is None:
        return None
    name = next(one for one in found.groups() if one is not None)
    return UnusableSetting(f"The database URL has a value of {name} that PostgreSQL does not take.")


def _unreadable() -> UnusableSetting:
    return UnusableSetting(
        "The database URL cannot be read: it must be like postgresql://user:password@host:5432/db, "
        "with all but letters, digits and -._~ percent-encoded in user name and password."
    )
