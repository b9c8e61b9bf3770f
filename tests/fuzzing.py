"""Calls of every operation that schemathesis makes up from the OpenAPI document.

Each is sent to a real server, in JSON or in XML, as an administrator, as a viewer, or without
a token; then the answer must be none of a broken server, and what the document says: its
status, content type, headers and schema (XML by the same schema, read by its `xml` names).

    uv run python -m tests.fuzzing --examples 2000
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import click
import hypothesis
import requests
import schemathesis
from hypothesis import strategies as st
from lxml import etree
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from heliograph.api.contract.operation import LINES
from tests.integration import private_key, public_pem
from tests.pki import Authority
from tests.process import Server, started
from tests.support import published

DELIBERATE: Final = 508
"""The one status of these that a call can mean to get: it says that it has looped (S15)."""


def not_broken(_context: Any, response: Any, _case: Any) -> None:
    """The server answers what it is asked, and no error of its own."""
    if response.status_code >= 500 and response.status_code != DELIBERATE:
        raise AssertionError(f"The server broke: {response.text[:500]}")


def nothing_else(_context: Any, response: Any, case: Any) -> None:
    """No field is answered that the document does not have."""
    document = case.operation.schema.raw_schema
    schemas = document["components"]["schemas"]
    shown = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    form = response.headers.get("content-type", [""])[0].partition(";")[0]
    schema = shown.get("content", {}).get(form, {}).get("schema")
    if schema is None or form == LINES:
        return
    value = _from_xml(case, response) if form.endswith("xml") else response.json()
    unknown = sorted(_unknown(value, schema, schemas))
    assert not unknown, f"Fields that are not documented: {', '.join(unknown)}"


def _unknown(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for item in value:
            yield from _unknown(item, schema["items"], schemas)
    elif isinstance(value, dict) and "additionalProperties" not in schema:
        for name, item in value.items():
            if name not in schema["properties"]:
                yield name
            else:
                yield from _unknown(item, schema["properties"][name], schemas)


CHECKS: Final = [
    not_broken,
    nothing_else,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

OFTEN: Final = 0.75
"""How often an id exists, a body is helped, and an administrator calls."""

ACCEPTED: Final = ("application/json", "application/xml", "text/xml, */*;q=0.5", "*/*")

_LATER: Final = "2099-01-01T00:00:00Z"

_USABLE: Final = {
    "deliveryMode": "SIM",
    "deliveryOrder": "envelope",
    "maxPerSecond": "5",
    "retrySchedule": ["60", "600"],
    "certificateAuthorities": "",
    "oAuthConfiguration": {"scope": "hooks"},
}
"""What is checked of a configuration."""

_OAUTH: Final = {
    "authorizationServerUrl": "http://127.0.0.1:9999/token",
    "clientId": "crm",
    "clientSecret": "secret",
    "customParameters": {"audience": "crm"},
}

APPLICATIONS: Final = 20
"""More than are deleted before the last of their keys and secrets is."""

MODULE: Final = "tests.fenced"
"""The server runs in there: made-up addresses must lead nowhere."""


@dataclass
class Tally:
    """What became of the calls of one operation."""

    calls: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)


@dataclass
class Fuzzer:
    """Calls a server; `known` are ids that exist, `identity` is a client certificate."""

    server: Server
    document: Mapping[str, Any]
    tokens: Mapping[str, str | None]
    known: Mapping[str, Sequence[str]]
    identity: Mapping[str, str]
    session: requests.Session

    def __post_init__(self) -> None:
        # Who calls is chosen here: schemathesis would leave most tokens out again.
        shown = {**self.document, "security": []}
        self.schema = schemathesis.openapi.from_dict(shown)
        self.session.trust_env = False  # no proxies, and no look for them with each call
        found = [one.ok() for one in self.schema.get_all_operations() if isinstance(one, Ok)]
        # What is listed and shown must not have been deleted before.
        found.sort(key=lambda one: ("GET", "POST", "PUT", "DELETE").index(one.method.upper()))
        self.operations = {one.label: one for one in found}
        host, port = self.server.address
        self.base_url = f"http://{host}:{port}/restapi"

    def run(self, label: str, examples: int, seed: int) -> Tally:
        """Make up that many calls of one operation; the same `seed` makes the same again."""
        operation, tally = self.operations[label], Tally()
        cases = st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )
        # Drawn apart from the case: Hypothesis, which looks for what is new in it, would draw
        # some of these hardly ever.
        chance = Random(seed)

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        # The number makes every call another one, also of what takes no parameters.
        @hypothesis.given(cases, st.integers())
        def one(case: Any, _number: int) -> None:
            for name in case.path_parameters or {}:
                if name in self.known and chance.random() < OFTEN:
                    case.path_parameters[name] = chance.choice(self.known[name])
            if isinstance(case.body, dict) and chance.random() < OFTEN:
                name = case.operation.definition.raw["operationId"]
                case.body = {**case.body, **self._help(name, tally.calls)}
            who = "administrator" if chance.random() < OFTEN else chance.choice([*self.tokens])
            self._call(tally, case, self.tokens[who], chance.choice(ACCEPTED))

        one()
        return tally

    def _help(self, operation_id: str, number: int) -> Mapping[str, Any]:
        """Fields that make a body usable, which hardly any made-up one is."""
        url = {"urlToPublishTo": "http://127.0.0.1:9999/nobody"}
        users = [{"userId": self.known["userId"][number % len(self.known["userId"])]}]
        groups = [{"groupId": self.known["groupId"][number % len(self.known["groupId"])]}]
        one = f"{operation_id}{number}"
        new = {"userName": one, "email": f"{one}@example.com", "isAdmin": "true"}
        helps: Mapping[str, Mapping[str, Any]] = {
            "create_configuration": {**url, **_USABLE},
            "update_configuration": {**url, **_USABLE, "connectId": "1"},
            "create_historical_envelope_publish_transaction": {
                "config": url,
                "envelopes": ["env-1", "env-2"],
            },
            "create_users": {"newUsers": [new]},
            "update_users": {"users": [{**users[0], "firstName": "Ada"}]},
            "delete_users": {"users": users},
            "update_group_users": {"users": users},
            "delete_group_users": {"users": users},
            "create_groups": {"groups": [{"groupName": one}]},
            "update_groups": {"groups": [{**groups[0], "groupName": one}]},
            "delete_groups": {"groups": groups},
            "create_token": {"name": one, "role": "viewer", "expires": _LATER, **users[0]},
            "create_account": {"accountName": one},
            "create_application": {"name": one, "redirectUris": ["https://crm.example.com/back"]},
            "update_application": {"name": one, "redirectUris": [], "role": "viewer"},
            "add_application_key": {"publicKey": public_pem(private_key())},
            "create_consent": {
                "integrationKey": self.known["integrationKey"][number % APPLICATIONS],
                **users[0],
            },
            "update_client_certificate": self.identity,
            "create_relay": {"name": one, "hmacSecrets": ["a key of sixteen"]},
            "update_relay": {"hmacSecrets": ["another key of sixteen"]},
            "create_connect_o_auth_config": _OAUTH,
            "update_connect_o_auth_config": _OAUTH,
        }
        return helps.get(operation_id, {})

    def _call(self, tally: Tally, case: Any, token: str | None, accept: str) -> None:
        headers = {"Accept": accept}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        response = case.call(base_url=self.base_url, session=self.session, headers=headers)
        tally.calls += 1
        tally.statuses[response.status_code] += 1
        if case.media_type:
            tally.bodies[case.media_type] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failure:
            # One of each kind is told; the others are counted by it.
            titles = sorted({str(getattr(one, "title", one)) for one in failure.exceptions})
            kind = f"{response.status_code} {', '.join(titles)}"
            tally.failures.setdefault(kind, str(failure))
        made = response.request.method == "POST" and response.status_code == 201
        if made and case.operation.definition.raw["operationId"] == "create_configuration":
            self._forget(response)

    def _forget(self, response: Any) -> None:
        """Else every listing of configurations would be as long as the run."""
        if response.headers["content-type"][0].startswith("application/json"):
            self.server.call("DELETE", response.json()["connectId"])
        else:
            found = etree.fromstring(response.content).findtext("{*}connectId")
            self.server.call("DELETE", str(found))


@contextlib.contextmanager
def fuzzing(folder: Path, path: str = "/openapi.json") -> Iterator[Fuzzer]:
    """A server with something of everything in it, and calls of the document at `path`."""
    with (
        started(folder, "--head-timeout", "60", module=MODULE) as server,
        requests.Session() as session,
    ):
        _fail(server)
        document = server.call("GET", path).json
        account = f"/v2.1/accounts/{server.credentials.account_id}"
        viewer = server.call("POST", f"{account}/tokens", {"name": "v", "role": "viewer"}).json
        tokens = {"administrator": server.token, "viewer": viewer["accessToken"], "nobody": None}
        known = _known(server, account)
        schemathesis.deserializer(*("application/xml", "text/xml"))(_from_xml)
        pair = Authority().pair("client.example.com")
        identity = {"certificate": pair.certificate, "privateKey": pair.key}
        assert server.call("PUT", "client_certificate", identity).status == 200
        yield Fuzzer(server, document, tokens, known, identity, session)


def _fail(server: Server) -> None:
    """A configuration whose listener is not there, and failures and log entries of it."""
    configuration = {
        "name": "crm",
        "urlToPublishTo": "http://127.0.0.1:9999/nobody",
        "allowEnvelopePublish": "true",
        "allUsers": "true",
        "enableLog": "true",
        "events": ["envelope-sent"],
    }
    assert server.call("POST", "", configuration).status == 201
    events = [published(envelope_id=f"env-{number}") for number in range(20)]
    assert server.call("POST", "events", events).status == 202
    until = time.monotonic() + 30
    while len(server.call("GET", "failures").json["failures"]) < len(events):
        assert time.monotonic() < until, "no failures came"
        time.sleep(0.05)


def _known(server: Server, account: str) -> Mapping[str, Sequence[str]]:
    users = [{"userName": f"u{n}", "email": f"u{n}@example.com"} for n in range(20)]
    groups = [{"groupName": f"g{n}"} for n in range(20)]
    made_users = server.call("POST", f"{account}/users", {"newUsers": users}).json["newUsers"]
    made_groups = server.call("POST", f"{account}/groups", {"groups": groups}).json["groups"]
    spare = server.call("POST", f"{account}/tokens", {"name": "spare"}).json
    key = server.call("POST", "secret").json
    past = {"envelopes": ["env-1"], "config": {"urlToPublishTo": "http://127.0.0.1:9999/x"}}
    historical = server.call("POST", "envelopes/publish/historical", past).json
    applications = [
        server.call("POST", f"{account}/applications", {"name": f"a{number}"}).json[
            "integrationKey"
        ]
        for number in range(APPLICATIONS)
    ]
    of_first = f"{account}/applications/{applications[0]}"
    proof = server.call("POST", f"{of_first}/keys", {"publicKey": public_pem(private_key())}).json
    secret = server.call("POST", f"{of_first}/secrets").json
    relay = {"name": "docusign", "hmacSecrets": ["a key of sixteen"]}
    assert server.call("POST", "relays", relay).status == 201
    failures = server.call("GET", "failures").json["failures"]
    incidents = server.call("GET", "incidents").json["incidents"]
    logs = server.call("GET", "logs").json["logs"]
    return {
        "accountId": [server.credentials.account_id, "1"],
        "connectId": ["1"],
        "deliveryId": [one["failureId"] for one in failures],
        "envelopeId": ["env-1", "env-2"],
        "eventId": [one["eventId"] for one in server.call("GET", "events").json["events"]],
        "failureId": [one["failureId"] for one in failures],
        "groupId": [one["groupId"] for one in made_groups],
        "incidentId": [one["incidentId"] for one in incidents],
        "integrationKey": applications,
        "keyId": [key["keyId"], proof["keyId"]],
        "logId": [one["logId"] for one in logs],
        "relayName": ["docusign"],
        "secretId": [secret["secretId"]],
        "tokenId": [spare["tokenId"]],
        "transactionId": [historical["envelopePublishTransactionId"]],
        "userId": [one["userId"] for one in made_users],
    }


# ------------------------------------------------------------------- XML by its schema


def _from_xml(context: Any, response: Any) -> Any:
    """An XML answer as its JSON would be, so that one schema checks both."""
    root = etree.fromstring(response.content)
    schemas = context.operation.schema.raw_schema["components"]["schemas"]
    (schema,) = [
        one for one in schemas.values() if one["xml"]["name"] == etree.QName(root).localname
    ]
    assert etree.QName(root).namespace == schema["xml"]["namespace"]
    return _value(root, schema, schemas)


def _value(element: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if schema["type"] == "array":
        return [_item(item, schema["items"], schemas) for item in element]
    if schema["type"] == "object":
        more = schema.get("additionalProperties")
        known = schema.get("properties", {})
        # A name that is not listed stands for what the schema cannot know: it fails there.
        return {
            name: _value(child, known.get(name, more or {"type": "string"}), schemas)
            for child in element
            for name in [etree.QName(child).localname]
        }
    assert len(element) == 0
    return element.text or ""


def _item(element: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    named = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    assert etree.QName(element).localname == named["xml"]["name"]
    return _value(element, schema, schemas)


# ---------------------------------------------------------------------------- the command


def table(tallies: Mapping[str, Tally], seconds: float) -> str:
    """The summary of a run."""
    lines = [f"{'operation':74} {'calls':>6}  statuses"]
    for label, tally in tallies.items():
        seen = ", ".join(f"{status}: {count}" for status, count in sorted(tally.statuses.items()))
        lines.append(f"{label:74} {tally.calls:6}  {seen}")
    calls = sum(one.calls for one in tallies.values())
    failed = sum(len(one.failures) for one in tallies.values())
    bodies: Counter[str] = sum((one.bodies for one in tallies.values()), Counter())
    forms = ", ".join(f"{form}: {count}" for form, count in sorted(bodies.items()))
    lines += [
        "",
        f"{len(tallies)} operations, {calls} calls in {seconds:.0f} s, {failed} kinds of failure.",
        f"Bodies: {forms}.",
    ]
    for label, tally in tallies.items():
        lines += [f"\n{label}: {kind}\n{text}" for kind, text in tally.failures.items()]
    return "\n".join(lines)


@click.command
@click.option("--examples", default=2000, help="Calls of each operation.")
@click.option("--only", default="", help="Only operations whose label holds this.")
@click.option("--document", default="/openapi.json", help="Or /openapi-v2.json, of version 2.")
@click.option("--seed", default=0, help="Makes the same calls again.")
def main(examples: int, only: str, document: str, seed: int) -> None:
    """Make up calls of every operation, and say what became of them; Ctrl-C says so of those
    that are done."""
    began, tallies = time.monotonic(), {}
    with tempfile.TemporaryDirectory() as folder, fuzzing(Path(folder), document) as fuzzer:
        with contextlib.suppress(KeyboardInterrupt):
            for label in fuzzer.operations:
                if only in label:
                    tallies[label] = fuzzer.run(label, examples, seed)
                    click.echo(f"{label}: {tallies[label].calls}", err=True)
        assert fuzzer.server.answers
    click.echo(table(tallies, time.monotonic() - began))
    if any(one.failures for one in tallies.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
