"""Metrics, the log and traces of a running server."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from heliograph.clock import SystemClock
from heliograph.model.accounts import Secret
from heliograph.model.deliveries import Delivered, GaveUp
from heliograph.store import Store
from heliograph.watch import AcceptedEvent, Publication, logs, tracing
from heliograph.watch.spans import Spans
from tests.listener import LoopbackListener
from tests.postgres_server import postgres_server
from tests.server import Client, serving
from tests.support import (
    ACCOUNT,
    WHY,
    accept,
    claim_all,
    new_event,
    published,
    settled,
    wanted_configuration,
)

CANARY = "canary-3f9a71"
DOCS = Path(__file__).parents[3] / "docs"


async def metrics(client: Client) -> dict[str, float]:
    reply = await client.call("GET", "/metrics", Authorization="")
    assert reply.status == 200
    lines = [line for line in reply.body.decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_r4_metrics_count_what_happened_and_show_that_nothing_is_orphaned(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    await api.configure(listener.base + "/broken")
    listener.by_path["/broken"] = 500
    for _ in range(2):
        await api.call("POST", "events", published(eventId="one"))
    refused = await api.call("POST", "events", {"event": "envelope-sent"})
    assert refused.status == 400
    await listener.until(lambda received: len(received) >= 2)

    found = await metrics(api)
    while (
        found['heliograph_attempts_total{outcome="delivered",phase=""}'] < 1
        or found["heliograph_configurations_failing"] < 1
    ):
        found = await metrics(api)
    assert found['heliograph_events_total{result="accepted"}'] == 1
    assert found['heliograph_events_total{result="repeated"}'] == 1
    assert found["heliograph_deliveries_accepted_total"] == 2
    assert found['heliograph_publish_refused_total{code="INVALID_REQUEST_BODY"}'] == 1
    assert found["heliograph_publish_seconds_count"] == 2
    assert found["heliograph_delivery_lag_seconds_count"] == 1
    assert found["heliograph_audit_orphans"] == 0
    assert found["heliograph_storage_up"] == 1
    assert found["heliograph_nodes_alive"] == 1
    assert found["heliograph_configurations_failing"] == 1
    assert found['heliograph_failed_attempts_total{phase="status",what="HTTP 500"}'] == 1
    assert found["heliograph_incidents_open"] == 1
    assert found["heliograph_database_bytes"] > 0


async def test_no_metric_holds_text_of_a_tenant_or_a_listener(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base, name=CANARY)
    await api.call("POST", "events", published(envelope_id=CANARY, eventId=CANARY))
    await listener.until(lambda received: len(received) == 1)
    await api.call("GET", f"/v2.1/{CANARY}")
    assert CANARY.encode() not in (await api.call("GET", "/metrics")).body


async def test_each_metric_is_documented_and_alerts_name_no_other(api: Client) -> None:
    text = (await api.call("GET", "/metrics")).body.decode()
    shown = set(re.findall(r"^# TYPE (heliograph_\w+)", text, re.MULTILINE))
    page = (DOCS / "reference" / "metrics.md").read_text()
    assert set(re.findall(r"^\| `(heliograph_\w+)`", page, re.MULTILINE)) == shown
    for name in ("alerts.yml", "run-in-production.md"):
        named = re.findall(r"heliograph_\w+", (DOCS / "how-to" / name).read_text())
        assert {one.removesuffix("_bucket") for one in named} <= shown


async def test_metrics_can_be_turned_off(tmp_path: Path) -> None:
    async with serving(tmp_path, metrics=False) as client:
        assert (await client.call("GET", "/metrics")).status == 404


async def test_r11_metrics_are_shown_while_the_storage_is_away(tmp_path: Path) -> None:
    with postgres_server() as server:
        async with serving(tmp_path, database_url=server.url) as client:
            server.stop("immediate")
            found = await metrics(client)
            assert found["heliograph_storage_up"] == 0
            assert "heliograph_waiting" not in found
            assert found["heliograph_in_flight"] == 0
            assert found["heliograph_in_flight_bytes"] == 0
            server.start()


async def logged(folder: Path, listener: LoopbackListener) -> list[dict[str, Any]]:
    """What a server logs whose texts, secrets and listener do their worst."""
    stream = io.BytesIO()
    hostile = 'env-\x1b[31m\u202e\n\x9b2J\x00{"event":"forged"}'
    printable = 'env-"}{"event":"forged"}'
    with logs.writing("json", "info", stream):
        async with serving(folder) as client:
            key = (await client.call("POST", "secret")).json["secret"]
            user = listener.base.replace("http://", f"http://user:{CANARY}@")
            await client.call("POST", "", {"name": "x", "urlToPublishTo": user})
            await client.configure(f"{listener.base}/a?token={CANARY}", password=CANARY)
            body = published(envelope_id=printable, eventId="one")
            assert (await client.call("POST", "events", body)).status == 202
            await listener.until(lambda received: len(received) == 1)
            structlog.get_logger().info("hostile", text=hostile, secret=Secret(CANARY))
            token = client.credentials.access_token.reveal()
    written = stream.getvalue()
    for secret in (key, token, CANARY):
        assert secret.encode() not in written
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", written)
    assert "\u202e".encode() not in written
    return [json.loads(line) for line in written.splitlines()]


async def test_s7_s12_each_event_and_each_attempt_is_one_line_of_json_without_secrets(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    lines = await logged(tmp_path, listener)
    (accepted,) = [line for line in lines if line["event"] == "event_accepted"]
    (attempt,) = [line for line in lines if line["event"] == "attempt"]
    assert accepted["envelope_id"].endswith('{"event":"forged"}')
    assert (accepted["event_id"], accepted["deliveries"], accepted["repeated"]) == ("one", 1, False)
    assert (attempt["event_id"], attempt["outcome"], attempt["status"]) == ("one", "delivered", 200)
    assert attempt["listener"] == f"{listener.base}/a"
    assert attempt["trace_id"] == accepted["trace_id"]
    assert not [line for line in lines if line["event"] == "forged"]
    (hostile,) = [line for line in lines if line["event"] == "hostile"]
    assert hostile["text"].endswith('\x9b2J\x00{"event":"forged"}')


async def test_a_listener_gets_the_trace_of_its_event_and_each_attempt_a_span(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base + "/a")
    await api.configure(listener.base + "/b")
    await api.call("POST", "events", published(eventId="one"))
    await listener.until(lambda received: len(received) == 2)
    found = [tracing.read(request.header("traceparent")) for request in listener.received]
    expected = tracing.of_event(api.credentials.account_id, "one").trace_id
    assert [one and one.trace_id for one in found] == [expected, expected]
    assert len({one and one.span_id for one in found}) == 2


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "1" * 16 + "-01-more",
        "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "1" * 16 + "-01" + "-x" * 600,
    ],
)
def test_a_trace_context_that_cannot_be_used_is_ignored(header: str | None) -> None:
    assert tracing.read(header) is None


def test_a_trace_context_is_read_as_the_recommendation_says() -> None:
    text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    found = tracing.read(text)
    assert found is not None
    assert found.header == text
    assert tracing.read("cc" + text[2:] + "-later") == found


async def test_spans_of_a_publish_and_its_attempts_belong_together(store: Store) -> None:
    exporter = InMemorySpanExporter()
    spans = Spans(SimpleSpanProcessor(exporter), SystemClock())
    await store.create_configuration(wanted_configuration())
    event = new_event(event_id="one")
    (receipt,) = await accept(store, event)
    caller = tracing.read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    spans.published(
        Publication(ACCOUNT, [AcceptedEvent(event, receipt, 0)], 0.01, caller, "vendor=1")
    )
    (claim,) = await claim_all(store)
    spans.attempted(settled(claim, GaveUp(WHY)))
    spans.attempted(settled(claim, Delivered()))
    spans.close()

    by_name: dict[str, list[Any]] = {}
    for span in exporter.get_finished_spans():
        by_name.setdefault(span.name, []).append(span)
    (publish,), (accepted,) = by_name["heliograph.publish"], by_name["heliograph.accept"]
    failed, delivered = by_name["heliograph.delivery.attempt"]
    assert caller is not None
    assert publish.context.trace_id == int(caller.trace_id, 16)
    assert publish.parent.trace_state["vendor"] == "1"
    assert {failed.context.trace_id, delivered.context.trace_id} == {accepted.context.trace_id}
    assert failed.parent.span_id == accepted.context.span_id
    assert not failed.status.is_ok
    assert delivered.attributes["http.response.status_code"] == 200
    await store.settle([settled(claim, Delivered())])
