"""Makes the old installations: `python -m tests.old.make`, with the code of adad52a.

    git worktree add ../old adad52a && cp -r tests/old ../old/tests && cd ../old && uv sync
    uv run python -m tests.old.make

It speaks to the running server over HTTP alone, so that any version can run it, and replaces the
fixtures beside it with those of the version that did. Then a copy lives on as the test's will
(`life.py`), and what that answers and sends is what the test expects.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from tests import pki
from tests.integration import BACK, private_key, private_pem, public_pem
from tests.old import grants, life, look
from tests.old.configurations import FAILS, FAILS_TOO, configurations
from tests.old.events import ADA, BOB, CAROL, DAN, KEYED, Event, event, notification
from tests.old.installation import HERE, ORPHANS, UNFINISHED, Installation
from tests.old.party import Party, party
from tests.postgres_server import postgres_server
from tests.process import PATIENCE, Server

PASSWORD = "correct horse battery"
PORTS = (18377, 18378)
"""Of the listeners: none that a system gives away, so that nothing answers there later."""


class Making:
    """One installation in the making; `shown` is what the server shows only once."""

    def __init__(self, server: Server, other: Party, authority: str) -> None:
        self.server, self.party, self.authority = server, other, authority
        self.shown: dict[str, Any] = {"tokens": {}, "unlisted": {}, "dan": DAN}
        self.ids: dict[str, str] = {}

    def call(self, method: str, path: str, body: Any = None, /, **headers: str) -> Any:
        """One call that succeeds; a path without a slash is below connect."""
        url = path.replace("~", self.server.connect.removesuffix("/connect"))
        answer = self.server.call(method, url, body, **headers)
        assert 200 <= answer.status < 300, (path, body, answer.body)
        return answer.json if answer.body else None

    def publish(self, *events: Event, **headers: str) -> None:
        self.call("POST", "events", list(events), **headers)

    def failures(self, path: str) -> list[Any]:
        """The failures of the listener at a path, oldest first."""
        listed = self.call("GET", f"failures?order=asc&connect_id={self.ids[path]}")["failures"]
        return list(listed)

    def until(self, holds: Callable[[], bool]) -> None:
        """Look again until something is so."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, self.call("GET", "failures")
            time.sleep(0.05)

    def until_failed(self, path: str, count: int, state: str) -> None:
        """Wait until so many failures of a path are in a state."""

        def holds() -> bool:
            return [one["deliveryState"] for one in self.failures(path)] == [state] * count

        self.until(holds)

    def make(self) -> None:
        """All of it."""
        for path in (*FAILS, *FAILS_TOO):
            self.party.answers[path] = (500, {})
        self.party.answers["/standard"] = (503, {"Retry-After": "7200"})
        self.party.answers["/gone"] = (410, {})
        self.people()
        self.credentials()
        self.configure()
        self.publish(KEYED, Idempotency_Key="a key")
        self.deliver()
        self.fail()
        self.hold()
        self.past()
        self.other_account()
        self.sign_in()
        self.wait()

    def people(self) -> None:
        """Users, one of them closed, groups, one of them deleted, and tokens, two of them ended."""
        groups = [{"groupName": name} for name in ("sales", "law", "gone")]
        for one in self.call("POST", "~/groups", {"groups": groups})["groups"]:
            self.ids[one["groupName"]] = one["groupId"]
        self.call("DELETE", "~/groups", {"groups": [{"groupId": self.ids["gone"]}]})
        sales = {"groupList": [{"groupId": self.ids["sales"]}]}
        law = {"groupList": [{"groupId": self.ids["law"]}]}
        users = [
            {"userId": ADA, "userName": "Ada Lovelace", "email": grants.EMAIL, "isAdmin": "true"},
            {"userId": BOB, "userName": "Bob", "email": "bob@example.com", **sales},
            {"userId": CAROL, "firstName": "Carol", "lastName": "Ö", "email": "c@example.com"}
            | law,
            {"userId": DAN, "userName": "Dan", "email": "dan@example.com"},
        ]
        self.call("POST", "~/users", {"newUsers": users})
        self.call("PUT", f"~/groups/{self.ids['sales']}/users", {"users": [{"userId": CAROL}]})
        self.call("PUT", f"~/users/{ADA}/password", {"newPassword": PASSWORD})
        self.shown["password"] = PASSWORD
        in_90_days = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 90 * 86400))
        in_a_second = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        for name, fields in {
            "viewer": {"userId": BOB, "role": "viewer"},
            "ada": {"userId": ADA, "role": "administrator", "scopes": "signature click"},
            "ends": {"role": "administrator", "expires": in_90_days},
            "ended": {"expires": in_a_second},
            "revoked": {"role": "administrator"},
            "closed": {"userId": DAN},
        }.items():
            made = self.call("POST", "~/tokens", {"name": name, **fields})
            self.shown["tokens"][name] = made["accessToken"]
            self.ids[f"token {name}"] = made["tokenId"]
        self.call("DELETE", f"~/tokens/{self.ids['token revoked']}")
        self.call("DELETE", "~/users", {"users": [{"userId": DAN}]})

    def credentials(self) -> None:
        """Two active HMAC keys and a retired one, a certificate, and the account's client."""
        keys = [self.call("POST", "secret") for _ in range(3)]
        self.call("DELETE", f"secret/{keys[1]['keyId']}")
        self.shown["hmac keys"] = [keys[0]["secret"], keys[2]["secret"]]
        pair = pki.Authority().pair("client of old", days=(-9, 36500))
        self.shown["client certificate"] = pair.certificate
        body = {"certificate": pair.certificate, "privateKey": pair.key}
        self.call("PUT", "client_certificate", body)
        client = {
            "authorizationServerUrl": f"{self.party.base}/token",
            "clientId": "of-the-account",
        }
        self.call("POST", "oauth", client | {"clientSecret": "the secret of the account's client"})

    def configure(self) -> None:
        base, secure = self.party.base, self.party.secure
        for body in configurations(base, secure, self.authority, self.ids):
            made = self.call("POST", self.server.connect, body)
            self.ids[body["name"]] = made["connectId"]

    def deliver(self) -> None:
        """Events that listeners take, some with listeners of their own."""
        base = self.party.base
        self.publish(
            event("envelope-sent", "env-1"),
            event("envelope-completed", "env-1"),
            event("envelope-sent", "env-2", BOB),
            event("envelope-completed", "env-2", CAROL),
            event("recipient-completed", "env-1"),
        )
        good = notification(f"{base}/only", deliveryMode="SIM", includeDocuments="true")
        bad = notification(f"{base}/only-bad", retrySchedule=["3600"], includeOAuth="true")
        own = event("envelope-sent", "env-9", DAN, eventNotifications=[good, bad])
        undocumented = {**good, "includeDocuments": "false"}
        self.publish(own, event("envelope-sent", "env-9", DAN, "-2", eventNotification=good))
        # Only for the messages of this event.
        self.publish(event("envelope-sent", "env-9", DAN, "-3", eventNotification=undocumented))
        self.party.until(lambda came: sum(one.path == "/only" for one in came) == 4)
        logs = self.call("GET", "logs?order=asc")["logs"]
        self.call("DELETE", f"logs/{logs[0]['logId']}")
        self.unlisted("failures", "/only-bad")
        self.unlisted("logs", "/only")

    def unlisted(self, kind: str, path: str) -> None:
        """Note the configurations of a path, which no listing of configurations has."""
        found: set[str] = set()

        def holds() -> bool:
            listed = self.call("GET", f"{kind}?envelope_id=env-9")[kind]
            found.update(one["connectId"] for one in listed if one["configUrl"].endswith(path))
            return bool(found)

        self.until(holds)
        for number, one in enumerate(sorted(found, key=int)):
            self.ids[path] = self.shown["unlisted"][path + "+" * number] = one

    def fail(self) -> None:
        """Failures that wait for a retry or for their turn, have ended, or were deleted."""
        self.publish(event("envelope-delivered", "env-3"), event("envelope-delivered", "env-4"))
        self.publish(event("envelope-delivered", "env-3", mark="-2"))
        self.until_failed("/ordered", 1, "waiting")
        self.until_failed("/standard", 2, "waiting")
        self.until_failed("/once", 3, "failed")
        self.until_failed("/ends", 3, "failed")
        (deleted, *_) = self.failures("/once")
        self.call("DELETE", f"failures/{deleted['failureId']}")
        self.until(lambda: len(self.failures("/removed")) == 2)
        self.call("DELETE", self.ids["/removed"])
        self.until_failed("/only-bad", 1, "waiting")
        self.party.until(lambda came: any(one.path == "/slow" for one in came))

    def hold(self) -> None:
        """What a person, or the listener itself, has stopped."""
        self.publish(event("envelope-declined", "env-5"))
        self.until_failed("/paused", 1, "waiting")
        body = {"connectId": self.ids["/paused"], "pausePublish": "true"}
        self.call("PUT", self.server.connect, body)
        self.until_failed("/gone", 1, "held")
        self.publish(event("envelope-declined", "env-6"))

    def past(self) -> None:
        """Envelopes of the past: taken, not taken, unknown, and called back."""
        base, path = self.party.base, "envelopes/publish/historical"

        def submit(*envelopes: str, **config: Any) -> str:
            made = self.call("POST", path, {"envelopes": list(envelopes), "config": config})
            name = config["urlToPublishTo"].removeprefix(base)
            self.ids[name] = self.shown["unlisted"][name] = made["connectId"]
            return str(made["envelopePublishTransactionId"])

        submit("env-1", "env-2", "env-1", "unknown", urlToPublishTo=f"{base}/past")
        submit("env-3", "env-5", urlToPublishTo=f"{base}/past-bad", retrySchedule=["3600"])
        held = submit("env-4", urlToPublishTo=f"{base}/past-held", pausePublish="true")
        submit("env-6", urlToPublishTo=f"{base}/past-held-on", pausePublish="true")
        self.call("DELETE", f"{path}/{held}")
        del self.shown["unlisted"]["/past-held"]  # it goes with what it was made for
        self.party.until(lambda came: sum(one.path == "/past" for one in came) == 2)
        self.party.until(lambda came: sum(one.path == "/past-bad" for one in came) == 2)
        self.until_failed("/past-bad", 2, "waiting")

    def other_account(self) -> None:
        """A second account with a configuration and a failure."""
        made = self.call("POST", "/restapi/v2.1/accounts", {"accountName": "Northwind"})
        self.shown["other account"] = made
        account, header = look.at(self.server, self.shown, "other")
        body = configurations(self.party.base, "", "", {"sales": "1", "law": "2"})[0]
        body |= {"urlToPublishTo": f"{self.party.base}/other", "retrySchedule": ["3600"]}
        self.call("POST", f"{account}/connect", body, **header)
        self.party.answers["/other"] = (500, {})
        event_of = event("envelope-sent", "env-1", BOB)  # ids are each account's own
        self.call("POST", f"{account}/connect/events", event_of, **header)
        self.shown["other hmac key"] = self.call("POST", f"{account}/connect/secret", **header)[
            "secret"
        ]

        def waits() -> bool:
            listed = self.call("GET", f"{account}/connect/failures", **header)["failures"]
            return [one["deliveryState"] for one in listed] == ["waiting"]

        self.until(waits)

    def sign_in(self) -> None:
        """Applications, consents, and what each grant leaves behind."""
        made = self.call("POST", "~/applications", {"name": "CRM", "redirectUris": [BACK]})
        self.shown["integration key"] = made["integrationKey"]
        crm = f"~/applications/{made['integrationKey']}"
        key = private_key()
        self.shown["private key"] = private_pem(key).decode()
        self.call("POST", f"{crm}/keys", {"publicKey": public_pem(key)})
        self.call("POST", f"{crm}/keys", {"publicKey": public_pem(private_key("second"))})
        self.call("POST", f"{crm}/secrets")
        self.shown["application secret"] = self.call("POST", f"{crm}/secrets")["secret"]
        robot = {"name": "robot", "role": "viewer"}
        self.shown["robot"] = self.call("POST", "~/applications", robot)["integrationKey"]
        public = {"publicKey": public_pem(key)}
        self.call("POST", f"~/applications/{self.shown['robot']}/keys", public)
        consent = {"integrationKey": made["integrationKey"], "userId": BOB}
        self.call("POST", "~/consents", consent)
        browser = grants.Browser(self.server, self.shown)
        browser.sign_in(PASSWORD)
        first = browser.code(browser.post(browser.visit(), "/consent", decision="allow"))
        tokens = self.granted(grants.exchange(self.shown, first))
        again = self.granted(grants.refresh(self.shown, tokens["refresh_token"]))
        self.granted(grants.assertion(self.server, self.shown, sub=BOB))
        self.shown |= {"used code": first, "code": browser.code(browser.visit())}
        self.shown |= {"cookie": browser.cookie, "refresh token": again["refresh_token"]}
        self.shown["tokens"]["granted"] = again["access_token"]

    def granted(self, form: dict[str, str]) -> dict[str, str]:
        answer = grants.token(self.server, form)
        assert answer.status == 200, answer.body
        tokens: dict[str, str] = answer.json
        return tokens

    def wait(self) -> None:
        """Last, what nobody has tried to send yet; and first, one that fails."""
        self.publish(event("envelope-voided", "env-7"))
        self.until_failed("/aggregate", 1, "waiting")
        self.publish(event("envelope-voided", "env-8"))


def make(place: Installation) -> None:
    """Make one, pack it, and record how a copy lives on."""
    authority = pki.Authority("servers")
    tls = pki.serving(authority.pair("localhost"), place.folder)
    with party(tls, PORTS) as other:
        with place.serving() as server:
            making = Making(server, other, authority.certificate)
            making.make()
        making.shown["stopped"] = int(time.time())
        making.shown["unfinished"] = place.run(UNFINISHED)[0][0]
        assert not place.run(ORPHANS)
    place.pack()
    packed = HERE / place.engine / "shown.json"
    packed.write_text(json.dumps(making.shown, indent=1, sort_keys=True) + "\n")


def record(place: Installation) -> None:
    """Write down how an unpacked one lives on: one line an answer."""
    parts = []
    for name, part in life.live(place).items():
        lines = [f"{_line(key)}: {_line(part[key])}" for key in part]
        parts.append(f"{_line(name)}: {{\n" + ",\n".join(lines) + "\n}")
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    (HERE / f"expected-{place.engine}.json").write_text(text)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def main() -> None:
    """Both engines."""
    with TemporaryDirectory() as folder, postgres_server() as server:
        for engine in ("sqlite", "postgres"):
            for step in (make, record):
                url = ""
                if engine == "postgres":
                    name = step.__name__
                    with psycopg.connect(server.url, autocommit=True) as connection:
                        connection.execute(f"create database {name}")
                    url = server.database_url(name)
                place = Installation(engine, Path(folder) / f"{engine}-{step.__name__}", url)
                place.folder.mkdir()
                step(place)


if __name__ == "__main__":
    main()
