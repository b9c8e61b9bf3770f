"""F9, F19, F25, F26: listeners and networks that misbehave, and events that are hard to send."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace

from heliograph.listen import zoo
from heliograph.listen.behaviour import Parameters
from heliograph.model.deliveries import LEASE_SECONDS
from tests.chaos import bench as benches
from tests.chaos import sink as sinks
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.installation import Node
from tests.chaos.ledger import entries
from tests.chaos.proxy import towards
from tests.support import published

PROMPT = 2.0
"""Seconds in which a listener that is well gets something, whatever the others do (R7)."""


@fault(
    "F9",
    "the network to a listener delays, swallows, cuts and drips",
    quick={"sqlite-1": 6, "postgres-1": 6},
    full={"sqlite-1": 60, "postgres-1": 60, "postgres-3": 30},
)
async def network(context: Context) -> Result:
    """A listener behind such a network gets everything; more than once only where its answer was
    lost on the way. Listeners elsewhere are served in time (R3, R5, R7)."""
    result = Result()
    async with context.bench() as bench, towards(bench.sink.base) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/c"
        wanted = bench.wanted("/c", urlToPublishTo=url, retrySchedule="standard")
        made = await bench.client.done("POST", "", wanted)
        bench.configurations.append(made["connectId"])
        troubles = (
            {"delay": 0.3},
            {"back": False},
            {"refusing": True},
            {"cut": 9},  # within the status line
            {"cut": 60},  # within the head
            {"drip": 0.05},
        )
        async with bench.load(pace=0.02) as load:
            for cycle in range(context.cycles):
                trouble = troubles[cycle % len(troubles)]
                await load.accepts()
                async with bench.nemesis.fault("network", **trouble):
                    await proxy.set(**trouble)
                    await bench.nemesis.moment(0.3, 0.8)
                    await bench.serves_others(result, PROMPT)
                await proxy.set()
        await bench.judge(result)
    return result


UNPLAYED = frozenset({"accept", "publish-back"})
"""What is no misbehaviour, and what needs a way to publish of its own."""


@fault(
    "F19",
    "every behaviour of a listener at once, under load",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 10, "postgres-1": 10},
)
async def listener_zoo(context: Context) -> Result:
    """Listeners that are well are served in time; to the others every delivery is delivered or a
    visible failure (R4, R7, S3)."""
    result = Result()
    async with context.bench() as bench, contextlib.AsyncExitStack() as stack:
        odd = []
        for name in sorted(set(zoo.BEHAVIOURS) - UNPLAYED):
            playing = zoo.listening(name, parameters=Parameters(seconds=30))
            base = await stack.enter_async_context(playing)
            wanted = bench.wanted("/", urlToPublishTo=base, retrySchedule=["1", "1"], name=name)
            odd.append((await bench.client.done("POST", "", wanted))["connectId"])
        async with bench.load(pace=0.05) as load:
            for _ in range(context.cycles):
                async with bench.nemesis.fault("zoo", listeners=len(odd)):
                    for _ in range(5):
                        await load.accepts()
                        await bench.serves_others(result, PROMPT)
        # What they have not taken ends visibly with their configurations.
        for connect_id in odd:
            await bench.client.done("DELETE", connect_id)
        await _judge_beside(bench, result, odd)
    return result


async def _judge_beside(bench: Bench, result: Result, others: Sequence[str]) -> None:
    """Judge the good listeners as ever; of the others every delivery has an end that is seen."""
    bench.sink.broken = 0.0
    deadline = time.monotonic() + benches.HEAL_SECONDS
    while await asyncio.to_thread(bench.installation.engine.unfinished):
        if time.monotonic() > deadline:
            break
        await bench.client.done("PUT", "failures/retry_queue?all=true")
        await asyncio.sleep(0.3)
    for node in bench.installation.nodes:
        await node.stop()
    dump = await asyncio.to_thread(bench.installation.engine.dump)
    listed, theirs = set(dump.failures), set(others)
    ends = [one for one in dump.deliveries if one[1] in theirs]
    silent = [one for one in ends if one[2] != "delivered" and (one[0], one[1]) not in listed]
    result.expect(not silent, f"{len(silent)} deliveries to odd listeners have no visible end")
    took = sum(one[2] == "delivered" for one in ends)
    result.notes.append(f"{len(ends)} deliveries to {len(theirs)} odd listeners, {took} taken")
    kept = replace(
        dump,
        deliveries=[one for one in dump.deliveries if one[1] not in theirs],
        attempts=[one for one in dump.attempts if one[1] not in theirs],
        failures=[one for one in dump.failures if one[1] not in theirs],
    )
    result.cycles += bench.nemesis.count
    result.add(bench.verdict(kept), bench.in_flight())


@fault(
    "F25",
    "many listeners come back at once, with a backlog",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 25, "postgres-1": 25},
)
async def recovery(context: Context) -> Result:
    """Each gets one message first, and never more at once than its cap; all of the backlog
    arrives, and new events of others arrive within 2 s meanwhile (R7, R10).

    A cycle stands for 20 listeners and 2,000 waiting deliveries; they are down for as long as it
    takes to fail each once, with retries every 5 s, in place of ten minutes.
    """
    result, listeners = Result(), 20 * context.cycles
    paths = [f"/down-{number}" for number in range(listeners)]
    async with context.bench() as bench:
        bench.sink.broken = 0.0
        bench.sink.dead |= set(paths)
        for path in paths:
            wanted = bench.wanted(path, retrySchedule=["5"] * 100)
            made = await bench.client.done("POST", "", wanted)
            bench.configurations.append(made["connectId"])
        async with bench.load(publishers=4, pace=0.0) as load:
            await load.accepts(100, seconds=120)
        for path in paths:  # each has failed, and is known to be down
            await bench.sink.until_asked(path)
        for path in sinks.PATHS:  # the others have no backlog
            await bench.sink.until_asked(path, load.accepted)
        waiting = await asyncio.to_thread(bench.installation.engine.unfinished)
        bench.sink.most.clear()
        back = time.time_ns()
        async with bench.nemesis.fault("return", listeners=listeners, waiting=waiting):
            bench.sink.dead.clear()
            # Each new event is one more message for every listener: the more of them there are,
            # the fewer events, or the backlog would only grow. One publisher: while all slots are
            # taken each listener gets one message at a time, and a second one waits for a turn.
            async with bench.load(publishers=1, pace=0.1 * context.cycles) as load:
                await load.accepts(20, seconds=60)
                while await asyncio.to_thread(bench.installation.engine.unfinished) > waiting / 10:
                    await load.accepts(1, seconds=60)
        result.notes.append(f"{waiting} deliveries waited for {listeners} listeners")
        most = max((bench.sink.most[path] for path in paths), default=0)
        result.expect(most <= 8, f"a listener got {most} messages at once, its cap is 8")
        await bench.judge(result)
        late = _percentile(_arrivals(bench, "/a", back), 0.99)
        result.recovered(late, PROMPT, "a new event's p99")
    return result


def _arrivals(bench: Bench, path: str, since_ns: int) -> list[float]:
    """Seconds from each later event's publishing to its first arrival at a path."""
    begun = {
        line["event"]: line["ns"]
        for line in entries(bench.folder / "published")
        if line["kind"] == "intent" and line["ns"] > since_ns
    }
    came: dict[str, int] = {}
    for line in entries(bench.folder / "received"):
        if line["path"] == path and line["event"] in begun:
            came.setdefault(line["event"], line["ns"])
    return sorted((came[event] - begun[event]) / 1e9 for event in came)


def _percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("inf")


@fault(
    "F26",
    "events that are hard to take, to store or to render",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 5, "postgres-1": 5},
)
async def poison(context: Context) -> Result:
    """Each is refused with 400 or 413, or accepted and then delivered or a visible failure; other
    events go on (R4, R17)."""
    result = Result()

    def usual_lease(node: Node) -> None:
        # PostgreSQL ends a session that idles in a transaction for half of a lease, and counts the
        # time until 24 MiB have arrived: of the suite's short lease that is 2 s, not 15.
        node.options = ("--lease", str(LEASE_SECONDS))

    async with context.bench(change=usual_lease) as bench:
        xml = {"events": [], "envelopeEvents": ["Sent"], "useSoapInterface": "true"}
        odd = bench.wanted("/", urlToPublishTo=bench.sink.base + "/xml", **xml)
        beside = (await bench.client.done("POST", "", odd))["connectId"]
        async with bench.load(pace=0.02) as load:
            for cycle in range(context.cycles):
                async with bench.nemesis.fault("poison"):
                    for name, event, body, statuses in _poisons(cycle):
                        status = await load.publish_body(event, body)
                        result.expect(status in statuses, f"{name} was answered {status}")
                        await load.accepts()
                result.recovered(await bench.delivers(), PROMPT, "another event")
        await bench.client.done("DELETE", beside)
        await _judge_beside(bench, result, [beside])
    return result


def _poisons(cycle: int) -> list[tuple[str, str, bytes, tuple[int, ...]]]:
    """A name, the event, the body of a publish, and the statuses that are right for it."""

    def poisoned(
        name: str, *statuses: int, put: tuple[bytes, bytes] = (b"", b""), **summary: object
    ) -> tuple[str, str, bytes, tuple[int, ...]]:
        event = f"poison-{cycle}-{name.replace(' ', '-')}"
        body = published(envelope_id=event, eventId=event, chaosEvent=event, chaosSequence=0)
        body["data"]["envelopeSummary"] |= summary
        return name, event, json.dumps(body).encode().replace(*put, 1), statuses

    recipients = {"signers": [{"name": "Bob", "recipientId": str(n)} for n in range(10_000)]}
    status = b'"sent"'
    return [
        poisoned("invalid UTF-8", 400, put=(b"Ada", b"\xff\xfe")),
        poisoned("NaN", 400, put=(status, b"NaN")),
        poisoned("1e400", 202, 400, put=(status, b"1e400")),
        poisoned("unpaired surrogates", 202, 400, emailSubject="\ud800"),
        poisoned("a NUL", 202, 400, emailSubject="a\x00b"),
        poisoned("many recipients", 202, recipients=recipients),
        poisoned("another type in every place", 202, recipients=7, customFields=[1], sender=[]),
        poisoned("depth", 202, 400, put=(status, b"[" * 500 + b"]" * 500)),
        poisoned("24 MiB", 202, note="x" * (24 * 2**20)),
        poisoned("26 MiB", 413, note="x" * (26 * 2**20)),
    ]
