"""The tenancy matrix (S8), generated from the operation list: which cases there are.

An id is told by its field's name. A field or a query parameter that may name something and is
not in these tables makes `cases` fail, and so does an operation with a body that has no example.
"""

from __future__ import annotations

import copy
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from heliograph.api.contract.operation import Operation
from heliograph.wire.codec import decode_json, encode_xml
from heliograph.wire.media_types import JSON, XML

Ids = Mapping[str, str]
"""By kind, such as `connect`: the id of one that an account has."""

PATH = {
    "accountId": "account",
    "connectId": "connect",
    "deliveryId": "failure",
    "envelopeId": "envelope",
    "eventId": "event",
    "failureId": "failure",
    "groupId": "group",
    "incidentId": "incident",
    "integrationKey": "application",
    "jobId": "job",
    "keyId": "key",
    "logId": "log",
    "relayName": "relay",
    "secretId": "application secret",
    "tokenId": "token",
    "transactionId": "transaction",
    "userId": "user",
}
PATH_OF = {("delete_application_key", "keyId"): "application key"}
"""Where a parameter of a path names something else than elsewhere."""

QUERY = {
    "actor": "mark",
    "connect_id": "connect",
    "cursor": "cursor",
    "email": "mark",
    "email_substring": "mark",
    "envelope_id": "envelope",
    "error": "mark",
    "event_id": "event",
    "group_id": "group",
    "incident_id": "incident",
    "integration_key": "application",
    "search_text": "mark",
    "sender": "mark",
    "subject": "mark",
    "user_id": "user",
    "user_name_substring": "mark",
    "what": "mark",
}
"""`mark` is a word that stands in every name, address and text of the other account."""

QUERY_WITHOUT = {
    *("additional_info", "count", "domain_users_only", "from_date", "list_included_users"),
    *("order", "start_position", "status", "to_date", "include_account_id_guid"),
    "action",
    *("canary", "of", "ramp", "rate", "stop_percent"),
    *("cause", "phase"),
    *("all", "allow_all_languages", "delete", "dry_run", "explain", "preview_billing_plan"),
    *("event", "state"),
}
BODY = {
    "accountId": "account",
    "connectId": "connect",
    "email": "address",
    "envelopeIds": "envelope",
    "envelopes": "envelope",
    "groupId": "group",
    "groupIds": "group",
    "integrationKey": "application",
    "keyId": "application key",
    "secretId": "application secret",
    "tokenId": "token",
    "transactionId": "transaction",
    "userId": "user",
    "userIds": "user",
}
BODY_WITHOUT = {
    "clientId": "of an authorization server",
    "deviceId": "of a phone, and none is ever registered",
    "externalFolderId": "kept for presets",
    "id": "of Salesforce's objects, kept for presets",
    "membershipId": "never read",
    "nextUri": "never read",
    "previousUri": "never read",
    "sendActivationEmail": "a flag, never read",
    "uri": "never read",
}
_MAY_NAME = re.compile(r"(ids?|uri|email|envelopes)$", re.IGNORECASE)

CONFIGURATION = {
    "name": "mine",
    "events": ["envelope-sent"],
}
EVENT = {"event": "envelope-sent", "data": {"envelopeId": "mine", "userId": "somebody"}}


NEW = "NEW-NAME"
"""To be replaced in a body by a name that nothing has yet."""


def bodies(own: Ids) -> dict[str, dict[str, Any]]:
    """A body for each operation that takes one, about things of the caller's own account."""
    user, group = {"userId": own["user"]}, {"groupId": own["group"], "groupName": "renamed"}
    # What deletes names nobody, so that the caller's own things are there for the next case.
    nobody, none = {"userId": "00000000-0000-4000-8000-000000000000"}, {"groupId": "9" * 12}
    # Of a listener that the test has: on any other port there may be somebody who answers.
    configuration = {**CONFIGURATION, "urlToPublishTo": own["listener"]}
    client = {"authorizationServerUrl": "http://127.0.0.1:9000/", "clientId": "c"}
    client["clientSecret"] = "a secret"
    new = {"userName": "New", "email": f"{NEW}@example.com"}
    application = {"integrationKey": own["application"]}
    device = {"mobileNotifierConfigurations": [{"deviceId": "mine"}]}
    return {
        "acknowledge_incident": {"note": "seen"},
        "add_application_key": {"publicKey": own["public key"]},
        "create_account": {"accountName": "more"},
        "create_application": {"name": "new"},
        "create_consent": {**application, **user},
        "create_configuration": configuration,
        "create_connect_o_auth_config": client,
        "create_groups": {"groups": [{"groupName": NEW}]},
        # Its one delivery waits for a day after it has failed, so that every answer says the same
        # of how far it is.
        "create_historical_envelope_publish_transaction": {
            "config": {**configuration, "retrySchedule": ["86400"]},
            "envelopes": [own["envelope"]],
        },
        "create_relay": {"name": NEW, "hmacSecrets": ["a secret of DocuSign"]},
        "create_token": {"name": "new"},
        "create_users": {"newUsers": [new]},
        "delete_group_users": {"users": [nobody]},
        "delete_groups": {"groups": [none]},
        "delete_mobile_notifiers": device,
        "delete_users": {"users": [nobody]},
        "retry_event_for_envelopes": {"envelopeIds": [own["envelope"]]},
        "update_application": {"name": "renamed"},
        "update_client_certificate": {"certificate": "x", "privateKey": "x"},
        "update_configuration": {"connectId": own["connect"], "name": "renamed"},
        "update_connect_o_auth_config": client,
        "update_group_users": {"users": [user]},
        "update_groups": {"groups": [group]},
        "update_relay": {"userName": "docusign", "password": "a password"},
        "update_republish_job": {"rate": "7"},
        "update_mobile_notifiers": device,
        "update_user": {"userName": "Renamed"},
        "update_user_password": {"newPassword": "a password of mine"},
        "update_users": {"users": [{**user, "userName": "Renamed"}]},
    }


RAW: dict[str, Sequence[tuple[tuple[str, ...], str]]] = {
    "publish_events": (
        (("eventId",), "event"),
        (("data", "accountId"), "account"),
        (("data", "userId"), "user"),
        (("data", "envelopeId"), "envelope"),
        (("data", "recipientId"), "user"),
    ),
}
"""Operations that read their bodies themselves: where in `EVENT` an id may stand."""


@dataclass(frozen=True)
class Case:
    """One call with one foreign id. `headers` and `body` are those of the form."""

    operation: Operation
    place: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    kind: str = ""
    named: str = field(default="", compare=False)

    def __str__(self) -> str:
        form = self.headers["Accept"].rpartition("/")[2]
        return f"{self.operation.operation_id} {self.place} {form}"


def cases(operations: Sequence[Operation], own: Ids, named: Ids) -> Iterator[Case]:
    """Every operation with every place of an id, in JSON and XML, naming `named`."""
    given = bodies(own)
    for operation in operations:
        versions = ["v2.1", *(["v2"] if operation.v2 else [])]
        for version in versions:
            for form in (JSON, XML):
                one = _Places(operation, version, form, own, named, given)
                yield from one.in_path()
                yield from one.in_query()
                yield from one.in_body()


@dataclass(frozen=True)
class _Places:
    operation: Operation
    version: str
    form: str
    own: Ids
    named: Ids
    given: Mapping[str, dict[str, Any]]

    def in_path(self) -> Iterator[Case]:
        parameters = re.findall(r"\{(\w+)(?::path)?\}", self.operation.path)
        for parameter in parameters:
            kind = self._kind(parameter)
            spellings = [kind]
            if kind == "account":
                spellings = ["account", "account number", "ACCOUNT"]
            for spelling in spellings:
                yield self._case(
                    f"path {parameter} ({spelling})", {parameter: self.named[spelling]}, spelling
                )
            if kind == "account" and len(parameters) > 1:
                # And with all else of the other account too.
                whole = {one: self.named[self._kind(one)] for one in parameters}
                yield self._case("path, all of it", whole, "account")

    def in_query(self) -> Iterator[Case]:
        for parameter in self.operation.query:
            if parameter.name not in QUERY_WITHOUT:
                kind = QUERY[parameter.name]
                query = f"?{parameter.name}={quote(self.named[kind], safe='')}"
                yield self._case(f"query {parameter.name}", {}, kind, query=query)

    def in_body(self) -> Iterator[Case]:
        if self.operation.raw_types:
            if self.form == JSON:
                for place, kind in RAW[self.operation.operation_id]:
                    changed = _put(EVENT, place, self.named[kind])
                    body = json.dumps(changed).encode()
                    yield self._case(f"body {'.'.join(place)}", {}, kind, body=body)
        elif self.operation.body is not None:
            for place, kind in id_places(self.operation.body):
                changed = _put(self.given[self.operation.operation_id], place, self.named[kind])
                yield self._case(f"body {'.'.join(place)}", {}, kind, body=self._encoded(changed))

    def _kind(self, parameter: str) -> str:
        return PATH_OF.get((self.operation.operation_id, parameter), PATH[parameter])

    def plain(self) -> Case:
        """The call with nothing foreign in it."""
        return self._case("nothing foreign", {}, "")

    def _case(
        self, place: str, over: Ids, kind: str, *, query: str = "", body: bytes | None = None
    ) -> Case:
        def filled(found: re.Match[str]) -> str:
            return quote(over.get(found[1], self.own[self._kind(found[1])]), safe="")

        path = re.sub(r"\{(\w+)(?::path)?\}", filled, self.operation.path)
        given = self.given.get(self.operation.operation_id)
        if body is None and self.operation.raw_types:
            body = json.dumps(EVENT).encode()
        elif body is None and self.operation.body is not None:
            assert given is not None, f"{self.operation.operation_id} needs a body in `bodies`"
            body = self._encoded(given)
        kind_of_body = JSON if self.operation.raw_types else self.form
        headers = {"Accept": self.form, "Content-Type": kind_of_body}
        url = f"/restapi/{self.version}{path}{query}"
        where = f"{self.version} {place}"
        named = self.named.get(kind, "")
        return Case(self.operation, where, self.operation.method, url, headers, body, kind, named)

    def _encoded(self, fields: Mapping[str, Any]) -> bytes:
        text = json.dumps(fields).encode()
        shape = self.operation.body
        assert shape is not None
        return text if self.form == JSON else encode_xml(decode_json(text, shape))


def plain_cases(operations: Sequence[Operation], own: Ids) -> Iterator[Case]:
    """Every operation about the caller's own things."""
    for operation in operations:
        for form in (JSON, XML):
            yield _Places(operation, "v2.1", form, own, own, bodies(own)).plain()


def id_places(
    shape: type[Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where in a body an id may stand, and of what; `*` is an item of a list."""
    for one in msgspec.structs.fields(shape):
        place, kinds = (*above, one.encode_name), inside(one.type)
        if any(isinstance(kind, type) and issubclass(kind, msgspec.Struct) for kind in kinds):
            for kind in kinds:
                if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                    listed = ("*",) if list in kinds else ()
                    yield from id_places(kind, (*place, *listed))
        elif one.encode_name in BODY:
            yield (*place, *(("*",) if list in kinds else ())), BODY[one.encode_name]
        else:
            known = one.encode_name in BODY_WITHOUT or not _MAY_NAME.search(one.encode_name)
            assert known, f"{'.'.join(place)} may name something: say what in BODY"


def inside(annotation: Any) -> list[Any]:
    """The types that an annotation is made of, `list` among them where there is one."""
    parts = typing.get_args(annotation)
    origin = [list] if typing.get_origin(annotation) is list else []
    return [*origin, *(one for part in parts for one in inside(part))] if parts else [annotation]


def _put(fields: Mapping[str, Any], place: Sequence[str], value: str) -> dict[str, Any]:
    """A copy of a body with a value at a place."""
    changed: dict[str, Any] = copy.deepcopy(dict(fields))
    at: Any = changed
    for step, following in zip(place, (*place[1:], None), strict=True):
        key: Any = 0 if step == "*" else step
        if following is None:
            if step == "*":
                at[:] = [value]
            else:
                at[key] = value
        else:
            if step == "*" and not at:
                at.append({})
            elif step != "*" and not at.get(step):
                at[step] = [] if following == "*" else {}
            at = at[key]
    return changed
