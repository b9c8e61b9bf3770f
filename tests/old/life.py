"""How an old installation lives on: it is looked at, then stands for 400 days, then sends."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from tests import pki
from tests.old import grants, look
from tests.old.events import BOB, KEYED, event, new_events
from tests.old.installation import HERE, ORPHANS, PUT_OFF, Installation
from tests.old.look import Shown
from tests.old.party import Party, party
from tests.process import PATIENCE, Server

AGE = 400 * 86400
"""Seconds: longer than any schedule, token or log lasts."""

KEPT = 5
"""Deliveries of the new events that are not sent at once: to /paused, to /gone, to /ordered and
/only-bad behind a failure, and to /aggregate, which gathers for a while."""


def shown_of(engine: str) -> Shown:
    """The secrets that the server showed once, and a few ids."""
    shown: Shown = json.loads((HERE / engine / "shown.json").read_text())
    return shown


def age_of(shown: Shown) -> int:
    """By how many seconds its times are moved, so that it stopped ten seconds ago."""
    return int(time.time()) - 10 - int(shown["stopped"])


def live(place: Installation) -> dict[str, Any]:
    """Unpack it and let it live on: all that it answers and sends."""
    shown = shown_of(place.engine)
    place.unpack()
    moved = age_of(shown)
    place.shift(moved)
    place.run(PUT_OFF)  # nothing is to go to the ports of then
    authority = pki.Authority("servers of now")
    found: dict[str, Any] = {"made": {"moved": moved}}
    with party(_tls(place, authority, shown)) as other:
        with place.serving() as server:
            found["looked at"] = look.everything(server, shown)
            found["signed in"] = _sign_in(server, shown)
            _point(server, shown, other, authority.certificate)
            published = _publish(server)
            more = sum(int(one["deliveries"]) for one in published["new"])
            # Some XML shows a stored time: none of it may be sent after all are moved again.
            other.until(lambda came: sum(one.path != "/aggregate" for one in came) >= more - KEPT)
        place.shift(-AGE)
        with place.serving() as server:
            found["tokens 400 days later"] = _tokens(server, shown)
            _switch_on(server, shown)
            _republish(server, shown)
            other.until(lambda came: len(came) >= int(shown["unfinished"]) + more)
            found["never sent"] = _left(server)
        found["sent"] = other.shown([*shown["hmac keys"], shown["other hmac key"]])
        found["asked for tokens"] = {one["client_id"]: one for one in other.asked}
    found["published"] = published
    assert not place.run(ORPHANS)
    return found


def _tls(place: Installation, authority: pki.Authority, shown: Shown) -> ssl.SSLContext:
    """Of a listener that wants the old client certificate, whoever signed it and when."""
    tls = pki.serving(authority.pair("localhost"), place.folder)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    tls.load_verify_locations(cadata=shown["client certificate"])
    return tls


def _tokens(server: Server, shown: Shown) -> dict[str, list[int]]:
    """What the tokens that were given may do: a viewer's call, an administrator's."""
    tokens = {**shown["tokens"], "first": server.token}
    return {
        name: [
            server.call("GET", path, Authorization=f"Bearer {text}").status
            for path in ("failures?count=1", "secret")
        ]
        for name, text in tokens.items()
    }


def _sign_in(server: Server, shown: Shown) -> dict[str, Any]:
    """Each way of signing in, with what was shown then; the last one is a thief's."""
    found: dict[str, Any] = {"tokens": _tokens(server, shown)}
    for name, answer in {
        "legacy header": server.call(
            "GET",
            "failures?count=1",
            Authorization="",
            X_DocuSign_Authentication=grants.legacy_header(shown),
        ),
        "password": grants.Browser(server, shown).sign_in(shown["password"]),
        "wrong password": grants.Browser(server, shown).sign_in("another password"),
        "session": grants.Browser(server, shown, shown["cookie"]).visit(),
        "assertion": grants.token(server, grants.assertion(server, shown, sub=BOB)),
        "assertion without consent": grants.token(
            server, grants.assertion(server, shown, sub=shown["dan"])
        ),
        "robot": grants.token(server, grants.assertion(server, shown, iss=shown["robot"])),
        "code": grants.token(server, grants.exchange(shown, shown["code"])),
        "refresh": grants.token(server, grants.refresh(shown, shown["refresh token"])),
        "refresh again": grants.token(server, grants.refresh(shown, shown["refresh token"])),
        "used code": grants.token(server, grants.exchange(shown, shown["used code"])),
    }.items():
        found[name] = answer.status
    found["tokens after the thief"] = _tokens(server, shown)
    return found


def _put(server: Server, path: str, body: Any, **header: str) -> None:
    answer = server.call("PUT", path, body, **header)
    assert answer.status == 200, (path, body, answer.body)


def _point(server: Server, shown: Shown, other: Party, authority: str) -> None:
    """Move every listener to where one answers now; secrets stay as they are masked."""

    def moved(url: str) -> str:
        parts = urlsplit(url)
        return (other.secure if parts.scheme == "https" else other.base) + parts.path

    for account in ("first", "other"):
        base, header = look.at(server, shown, account)
        connect = f"{base}/connect"
        listed = server.call("GET", connect, **header).json["configurations"]
        if account == "first":
            for one in shown["unlisted"].values():
                listed += server.call("GET", f"{connect}/{one}").json["configurations"]
        for one in listed:
            body = {name: one[name] for name in ("connectId", "urlToPublishTo")}
            body["urlToPublishTo"] = moved(one["urlToPublishTo"])
            if client := one.get("oAuthConfiguration"):
                to = {"authorizationServerUrl": moved(client["authorizationServerUrl"])}
                body["oAuthConfiguration"] = client | to
            if one["urlToPublishTo"].startswith("https"):
                body["certificateAuthorities"] = authority
            if "maxPerSecond" in one:
                body["maxPerSecond"] = "1000"
            _put(server, connect, body, **header)
    client = server.call("GET", "oauth").json
    _put(server, "oauth", client | {"authorizationServerUrl": f"{other.base}/token"})


def _publish(server: Server) -> dict[str, Any]:
    """New events, and old ones again; who gets them, and why the others do not."""
    answers = {}
    for name, events, headers in (
        ("new", new_events(), {}),
        ("the same id", [event("envelope-sent", "env-1")], {}),
        ("the same key", [KEYED], {"Idempotency_Key": "a key"}),
        ("the same id for another", [event("envelope-sent", "env-1") | {"more": "1"}], {}),
    ):
        answer = server.call("POST", "events?explain=true", list(events), **headers)
        answers[name] = answer.json.get("events", answer.json)
    return answers


def _switch_on(server: Server, shown: Shown) -> None:
    """Whoever is paused or out of service takes events again."""
    listed = server.call("GET", server.connect).json["configurations"]
    ids = {one["name"]: one["connectId"] for one in listed} | shown["unlisted"]
    for path in ("/paused", "/past-held-on"):
        _put(server, server.connect, {"connectId": ids[path], "pausePublish": "false"})
    _put(server, server.connect, {"connectId": ids["/gone"], "allowEnvelopePublish": "true"})


def _republish(server: Server, shown: Shown) -> None:
    for account in ("first", "other"):
        base, header = look.at(server, shown, account)
        _put(server, f"{base}/connect/failures/retry_queue?all=true", None, **header)


def _left(server: Server) -> dict[str, Any]:
    """The failures that stay, once nothing waits any more."""
    end = time.monotonic() + PATIENCE
    while True:
        left: list[Any] = server.call("GET", "failures?order=asc").json["failures"]
        if all(one["deliveryState"] == "failed" for one in left):
            return {one["failureId"]: one for one in left}
        assert time.monotonic() < end, left
        time.sleep(0.02)


_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")


def differences(expected: Any, actual: Any, moved: int, place: str = "") -> Sequence[str]:
    """Where two JSON values differ; a time may be the same, or moved by so many seconds."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        names = sorted({*expected, *actual})
        pairs = [(f"{place}.{name}", expected.get(name), actual.get(name)) for name in names]
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        places = [f"{place}[{number}]" for number in range(len(actual))]
        pairs = list(zip(places, expected, actual, strict=True))
    else:
        return [] if _same(expected, actual, moved) else [f"{place}: {actual!r}, not {expected!r}"]
    return [one for at, left, right in pairs for one in differences(left, right, moved, at)]


def _same(expected: Any, actual: Any, moved: int) -> bool:
    if not isinstance(expected, str) or not isinstance(actual, str):
        return bool(expected == actual)
    then, now = _TIME.split(expected), _TIME.split(actual)
    return len(then) == len(now) and all(
        left == right or (place % 2 == 1 and _later(left, moved) == right)
        for place, (left, right) in enumerate(zip(then, now, strict=True))
    )


def _later(text: str, seconds: int) -> str:
    return (datetime.fromisoformat(text) + timedelta(seconds=seconds)).isoformat()
