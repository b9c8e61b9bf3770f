"""The OpenAPI document against the official SDK: every call and every field, both ways.

The truth is the installed docusign-esign: its API classes, called with a client that only notes
what it is asked for, and its models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docusign_esign
import pytest

from heliograph.api.contract.openapi import document
from heliograph.wire.codec import OURS
from tests.operations import BASE_URI, all_operations

APIS = ("ConnectApi", "EnvelopesApi", "UsersApi", "GroupsApi", "AccountsApi")

NOT_IN_THIS_SDK = {
    ("POST", "/v2.1/accounts/{accountId}/connect/secret"),
    ("GET", "/v2.1/accounts/{accountId}/connect/secret"),
    ("DELETE", "/v2.1/accounts/{accountId}/connect/secret/{keyId}"),
    ("GET", "/v2.1/login_information"),
}
"""In DocuSign's documents and its SDK for Node (test_every_call.py), or in older SDKs."""

PARTLY = {
    *("AccountInformation", "Group", "LoginAccount", "LoginInformation", "NewAccountDefinition"),
    *("NewAccountSummary", "NewUser", "UserInformation"),
}
"""Messages of Users, Groups and Accounts of which Heliograph has what it needs."""


@dataclass(frozen=True)
class SdkCall:
    """What the SDK sends for one of its methods, and what it makes of the answer."""

    query: frozenset[str]
    body: str | None
    answer: str | None


class Recorder:
    """Stands where the SDK's client does and notes the call."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def select_header_accept(self, accepts: list[str]) -> str:
        return accepts[0]

    def select_header_content_type(self, kinds: list[str]) -> str:
        return (kinds or ["application/json"])[0]

    def call_api(self, path: str, method: str, *args: Any, **kwargs: Any) -> None:
        self.made = {"path": path, "method": method, "query": args[1], **kwargs}


def _sdk_calls() -> Iterator[tuple[tuple[str, str], SdkCall]]:
    for of in APIS:
        recorder = Recorder()
        api = getattr(docusign_esign, of)(recorder)
        for method in dir(api):
            if not method.endswith("_with_http_info"):
                continue
            kinds = re.findall(r":param (\w+) (\w+):", getattr(api, method).__doc__)
            given = {name: kind for kind, name in kinds if kind != "callback"}
            getattr(api, method)(**{name: name for name in given})
            made = recorder.made
            yield (
                (made["method"], made["path"]),
                SdkCall(
                    frozenset(dict(made["query"])),
                    given.get(str(made["body"])),
                    made["response_type"],
                ),
            )


SDK = dict(_sdk_calls())
DOCUMENT = document(all_operations(), BASE_URI)
OPERATIONS = {
    (method.upper(), path): call
    for path, here in DOCUMENT["paths"].items()
    for method, call in here.items()
}
SCHEMAS = DOCUMENT["components"]["schemas"]


def named(content: dict[str, Any]) -> set[str]:
    """The schemas that a body or an answer is, in its JSON and XML forms."""
    return {
        one["schema"]["$ref"].rpartition("/")[2]
        for one in content.values()
        if "$ref" in one["schema"]
    }


def answer_of(call: dict[str, Any]) -> set[str]:
    (success,) = [one for status, one in call["responses"].items() if status < "300"]
    return named(success.get("content", {}))


def body_of(call: dict[str, Any]) -> set[str]:
    return named(call.get("requestBody", {}).get("content", {}))


def query_of(call: dict[str, Any], *, ours: bool) -> set[str]:
    return {
        one["name"]
        for one in call["parameters"]
        if one["in"] == "query" and one.get(OURS, False) is ours
    }


def test_every_connect_call_of_the_sdk_is_there() -> None:
    wanted = {key for key in SDK if "/connect" in key[1]}
    assert len(wanted) == 23
    assert wanted - OPERATIONS.keys() == set()


def test_what_the_sdk_does_not_have_is_marked_and_nothing_else() -> None:
    marked = {key for key, call in OPERATIONS.items() if call.get(OURS)}
    # `GET /accounts` is no call of the SDK, and `POST /accounts` there makes another kind of
    # account, for resellers.
    other = {("POST", "/v2.1/accounts")}
    assert marked == OPERATIONS.keys() - SDK.keys() - NOT_IN_THIS_SDK | other


@pytest.mark.parametrize("key", sorted(OPERATIONS.keys() & SDK.keys()), ids=" ".join)
def test_each_call_takes_and_answers_what_the_sdk_sends_and_reads(key: tuple[str, str]) -> None:
    call, sdk = OPERATIONS[key], SDK[key]
    assert body_of(call) == ({sdk.body} if sdk.body else set())
    assert answer_of(call) == ({sdk.answer} if sdk.answer else set())
    if "/connect" in key[1] or key[0] != "GET":  # what changes something refuses any other
        assert query_of(call, ours=False) == sdk.query
    else:
        assert query_of(call, ours=False) <= sdk.query
    assert not query_of(call, ours=True) & sdk.query


def _sdk_type(schema: dict[str, Any]) -> str:
    """A field's type as the SDK's models write it."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema["type"] == "array":
        return f"list[{_sdk_type(schema['items'])}]"
    return "dict(str, str)" if schema["type"] == "object" else "str"


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_field_is_the_sdks_or_marked(name: str) -> None:
    schema, model = SCHEMAS[name], getattr(docusign_esign, name, None)
    if model is None:
        # A whole message of ours: its fields need no mark.
        assert schema.get(OURS) is True
        return
    assert OURS not in schema
    theirs = {
        wire_name: model.swagger_types[attribute]
        for attribute, wire_name in model.attribute_map.items()
    }
    fields = schema["properties"]
    unmarked = {field: _sdk_type(one) for field, one in fields.items() if OURS not in one}
    marked = fields.keys() - unmarked.keys()
    assert not marked & theirs.keys()
    assert unmarked.items() <= theirs.items()
    if name not in PARTLY:
        assert unmarked == theirs
