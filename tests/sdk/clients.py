"""DocuSign's two SDKs, unmodified, behind one way to call them.

A test names an operation as the Python SDK does and a body by its class and wire fields; each
SDK makes an object of its class from them, and what it has made of the answer comes back as
wire fields again, with the names of the classes that the SDK used. Fields that an SDK's
classes do not have are lost, as they are for its users.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

import docusign_esign
from docusign_esign.client.api_exception import ApiException

from tests.busy import hang
from tests.sdk import node_program
from tests.server import Client


@dataclass(frozen=True)
class Body:
    """A body: the SDK's class for it, and its fields as on the wire."""

    model: str
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Parsed:
    """What the SDK made of an answer; `raw` is the answer itself where the SDK hands it out."""

    value: Any
    models: frozenset[str]
    raw: Any = None

    def __getitem__(self, name: str) -> Any:
        return self.value[name]


class Refused(Exception):
    """The SDK's own exception: the status, and the body of the answer."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Sdk(Protocol):
    """One SDK."""

    called: set[str]

    async def operations(self, api: str) -> set[str]:
        """The calls of one of its classes, named as the Python SDK does."""

    async def call(
        self, api: str, operation: str, *path: str, body: Body | None = None, **query: str
    ) -> Parsed:
        """One call. Raises Refused."""


@dataclass
class PythonSdk:
    """docusign-esign of PyPI, called from a thread: it blocks."""

    client: docusign_esign.ApiClient
    called: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, base: str, token: str) -> PythonSdk:
        client = docusign_esign.ApiClient(host=base)
        client.set_default_header("Authorization", f"Bearer {token}")
        return cls(client)

    async def operations(self, api: str) -> set[str]:
        names = dict(inspect.getmembers(getattr(docusign_esign, api), inspect.isfunction))
        return {one for one in names if one[0] != "_" and not one.endswith("_with_http_info")}

    async def call(
        self, api: str, operation: str, *path: str, body: Body | None = None, **query: str
    ) -> Parsed:
        self.called.add(operation)
        given: dict[str, Any] = dict(query)
        if body is not None:
            document = SimpleNamespace(data=json.dumps(body.value))
            given[snake(body.model)] = self.client.deserialize(document, body.model)
        method = getattr(getattr(docusign_esign, api)(self.client), operation)
        try:
            made = await asyncio.to_thread(method, *path, **given)
        except ApiException as refusal:
            raise Refused(refusal.status, json.loads(refusal.body)) from None
        value = self.client.sanitize_for_serialization(made)
        return Parsed(value, frozenset(_models(made)))


def _models(value: Any) -> Sequence[str]:
    if isinstance(value, list):
        return [name for one in value for name in _models(one)]
    if not hasattr(value, "swagger_types"):
        return []
    inside = [getattr(value, one) for one in value.swagger_types]
    return [type(value).__name__, *(name for one in inside for name in _models(one))]


@dataclass
class NodeSdk:
    """docusign-esign of npm, in a process of its own (bridge.mjs)."""

    process: asyncio.subprocess.Process
    style: str
    called: set[str] = field(default_factory=set)

    async def operations(self, api: str) -> set[str]:
        return {snake(name) for name in (await self._ask({"list": api}))["operations"]}

    async def call(
        self, api: str, operation: str, *path: str, body: Body | None = None, **query: str
    ) -> Parsed:
        self.called.add(operation)
        bodies = {}
        if body is not None:
            name = body.model[0].lower() + body.model[1:]
            bodies[name] = {"model": body.model, "value": body.value}
        wanted = {"query": {camel(name): value for name, value in query.items()}, "bodies": bodies}
        answer = await self._ask(
            {
                "api": api,
                "operation": camel(operation),
                "path": path,
                "options": wanted,
                "style": self.style,
            }
        )
        if "status" in answer:
            raise Refused(answer["status"], answer["body"])
        assert "broke" not in answer, answer["broke"]
        return Parsed(answer["value"], frozenset(answer["models"]), answer.get("raw"))

    async def _ask(self, request: Mapping[str, Any]) -> Any:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request).encode() + b"\n")
        async with hang(30):
            await stdin.drain()
            return json.loads(await stdout.readline())


@asynccontextmanager
async def node_sdk(
    base: str, token: str, style: str = "promise", **environment: str
) -> AsyncIterator[NodeSdk]:
    """The Node SDK with an access token; `style` is promise or callback."""
    process = await asyncio.create_subprocess_exec(
        *(await asyncio.to_thread(node_program.node), "bridge.mjs"),
        cwd=node_program.FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
        env={**os.environ, "BASE": base, "TOKEN": token, **environment},
    )
    try:
        yield NodeSdk(process, style)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def sdk_of(kind: str, api: Client) -> AsyncIterator[Sdk]:
    """The SDK of a kind (python, node, node-callback), signed in to a server's account."""
    base = f"{api.server.base_uri}/restapi"
    token = api.credentials.access_token.reveal()
    if kind == "python":
        yield PythonSdk.of(base, token)
        return
    async with node_sdk(base, token, "callback" if kind == "node-callback" else "promise") as sdk:
        yield sdk


def snake(name: str) -> str:
    """ConnectOAuthConfig or connectOAuthConfig as Python spells it: connect_o_auth_config."""
    return re.sub("(?<=.)([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    """connect_o_auth_config as JavaScript spells it: connectOAuthConfig."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
