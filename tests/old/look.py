"""Everything that an installation says of itself, call by call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.process import Server

VOLATILE = frozenset({"base_uri"})
"""Names of what is another at each start: the server's port."""

Shown = Mapping[str, Any]


def at(server: Server, shown: Shown, account: str = "first") -> tuple[str, dict[str, str]]:
    """The base path of an account, and the header of its administrator."""
    if account == "first":
        return server.connect.removesuffix("/connect"), {}
    other = shown["other account"]
    header = {"Authorization": f"Bearer {other['accessToken']}"}
    return f"/restapi/v2.1/accounts/{other['accountId']}", header


def everything(server: Server, shown: Shown) -> dict[str, Any]:
    """Answers by path, of both accounts."""
    found = {}
    for account in ("first", "other"):
        base, header = at(server, shown, account)
        for path in _paths(server, base, header):
            answer = server.call("GET", path, **header)
            assert answer.status == 200, (path, answer.body)
            found[path] = without_volatile(answer.json)
    xml = server.call("GET", server.connect, Accept="application/xml")
    found["configurations as XML"] = xml.body.decode()
    found["userinfo"] = without_volatile(_userinfo(server, shown))
    return found


def _userinfo(server: Server, shown: Shown) -> Any:
    bearer = f"Bearer {shown['tokens']['ada']}"
    return server.call("GET", "/oauth/userinfo", Authorization=bearer).json


def _paths(server: Server, account: str, header: Mapping[str, str]) -> Iterator[str]:
    def columns(path: str, listed: str, *names: str) -> list[tuple[str, ...]]:
        answer = server.call("GET", path, **header)
        assert answer.status == 200, (path, answer.body)
        return [tuple(one[name] for name in names) for one in answer.json.get(listed, ())]

    def ids(path: str, listed: str, name: str) -> list[str]:
        return [one for (one,) in columns(path, listed, name)]

    connect = f"{account}/connect"
    if not header:
        yield "/restapi/v2.1/accounts"
        yield f"{connect}/client_certificate"
        yield f"{connect}/oauth"
        yield connect.replace("v2.1", "v2")
    yield connect
    yield f"{connect}/secret"
    listed = set(ids(connect, "configurations", "connectId"))
    named = set(listed)
    for kind, name in (("failures", "failureId"), ("logs", "logId")):
        yield f"{connect}/{kind}"
        of = {row[0]: row[1] for row in columns(f"{connect}/{kind}", kind, "connectId", name)}
        named |= set(of)
        for one in of.values():  # one of each configuration is enough
            yield f"{connect}/{kind}/{one}?additional_info=true"
    for one in sorted(named, key=int):
        if server.call("GET", f"{connect}/{one}", **header).status == 200:  # not deleted
            yield f"{connect}/{one}/users"
            if one not in listed:
                yield f"{connect}/{one}"
    past = f"{connect}/envelopes/publish/historical"
    yield past
    for one in ids(past, "envelopePublishTransactions", "envelopePublishTransactionId"):
        yield f"{past}/{one}"
    yield f"{account}/users?status=Active,Closed&additional_info=true"
    yield f"{account}/groups"
    for one in ids(f"{account}/groups", "groups", "groupId"):
        yield f"{account}/groups/{one}/users"
    yield f"{account}/tokens"
    yield f"{account}/applications"
    yield f"{account}/consents"


def without_volatile(value: Any) -> Any:
    """A JSON value without the names of `VOLATILE`."""
    if isinstance(value, dict):
        return {name: without_volatile(x) for name, x in value.items() if name not in VOLATILE}
    return [without_volatile(one) for one in value] if isinstance(value, list) else value
