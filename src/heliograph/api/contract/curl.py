"""A line of curl for each operation, that does something when it is copied into a shell.

What differs from server to server and from call to call are variables of the shell, each as
`${NAME:?}`: where one is not set, the shell says which, and nothing is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from heliograph.api.contract.openapi import takes_body
from heliograph.errors import HeliographError
from heliograph.wire.examples import BODIES, BODIES_OF_FILES

ACCOUNT: Final = "HELIOGRAPH_ACCOUNT_ID"
TOKEN: Final = "HELIOGRAPH_ACCESS_TOKEN"  # noqa: S105 (the name of a variable)


class WithoutExample(HeliographError):
    """An operation takes a body, and there is none to show."""


def curl(method: str, path: str, call: Mapping[str, Any], base_uri: str) -> str:
    """The line of an operation as the OpenAPI document has it; `base_uri` is the server's.

    What changes all that it selects only tells what it would do.

    Raises:
        WithoutExample: its body is not among the examples.
    """
    url = re.sub(r"\{(\w+)\}", lambda part: _variable(_name(part[1])), path)
    given = {parameter["name"] for parameter in call["parameters"]}
    query = "?all=true&dry_run=true" if {"all", "dry_run"} <= given else ""
    body = _body(call["operationId"]) if takes_body(call) else ""
    usual = "POST" if body else "GET"
    parts = [
        "curl",
        *([] if method == usual else [f"-X {method}"]),
        f'-H "Authorization: Bearer {_variable(TOKEN)}"',
        f'"{base_uri}/restapi{url}{query}"',
        *([f"--json {body}"] if body else []),
    ]
    return " \\\n  ".join([" ".join(parts[: -2 if body else -1]), *parts[-2 if body else -1 :]])


def _body(operation_id: str) -> str:
    if operation_id in BODIES_OF_FILES:
        return f'"$({BODIES_OF_FILES[operation_id]})"'
    if operation_id not in BODIES:
        raise WithoutExample(f"There is no example of the body of {operation_id}.")
    filled = re.sub(r"\{([A-Z_]+)\}", r"""'"${\1:?}"'""", BODIES[operation_id])
    return f"'{filled}'"


def _name(parameter: str) -> str:
    """The variable of a path's parameter."""
    if parameter == "accountId":
        return ACCOUNT
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


def _variable(name: str) -> str:
    return f"${{{name}:?}}"
