"""S11, S13: what becomes of hostile JSON at the real API, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cost import measured
from tests.hostile_json import CONFIGURATIONS, EVENTS, filter_bodies
from tests.process import Server, started

CASES = [
    *(("POST", "", name, *case) for name, case in CONFIGURATIONS.items()),
    *(("POST", "events", name, *case) for name, case in EVENTS.items()),
    *(("PUT", "envelopes/retry_queue", name, *case) for name, case in filter_bodies().items()),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("json"), "--no-metrics") as running:
        running.call("GET", "")  # what only the first call does
        yield running


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [(method, path, body, status) for method, path, _, body, status in CASES],
    ids=[f"{path or 'configuration'}: {name}" for _, path, name, _, _ in CASES],
)
def test_s13_hostile_json_is_refused_cheaply_or_means_what_it_says(
    server: Server, method: str, path: str, body: bytes, status: int
) -> None:
    if status < 400:
        assert server.call(method, path, body).status == status
        return
    reply, cost = measured(server.process.pid, len(body), lambda: server.call(method, path, body))
    assert reply.status == status, reply.body[:300]
    codes = {400: "INVALID_REQUEST_BODY", 413: "REQUEST_ENTITY_TOO_LARGE"}
    assert reply.error == codes[status]
    assert len(reply.body) < 1000
    assert cost.within(len(body)), cost
    assert server.answers


def test_a_key_given_twice_means_its_last_value(server: Server) -> None:
    body = b'{"name":"a","urlToPublishTo":"http://127.0.0.1:4999/","name":"b"}'
    assert server.call("POST", "", body).json["name"] == "b"


def test_numbers_and_switches_are_kept_as_their_text(server: Server) -> None:
    body = b'{"name":5,"urlToPublishTo":"http://127.0.0.1:4999/","allUsers":true,"userName":1.50}'
    made = server.call("POST", "", body).json
    assert (made["name"], made["allUsers"], made["userName"]) == ("5", "true", "1.5")
