"""`heliograph trigger` against real listeners, and a real server for what is published."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from lxml import etree

from heliograph.cli import main
from tests.listener import LoopbackListener
from tests.service.cli.shell import Shell, running_server


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Without a server: nothing but --publish needs one."""
    return Shell(tmp_path / "nowhere")


async def test_a_sample_arrives_signed_and_the_answer_is_told(
    shell: Shell, listener: LoopbackListener, tmp_path: Path
) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("second\n\n")
    where = ("--to", f"{listener.base}/hook", "--key", "first", "--key-file", str(file))
    done = await shell.run("trigger", "envelope-completed", *where)
    assert done.exit_code == 0, done.output
    assert "envelope-completed" in done.stdout
    assert "200 OK, after 0." in done.stdout
    (received,) = listener.received
    assert received.message["event"] == "envelope-completed"
    assert received.message["data"]["envelopeSummary"]["status"] == "completed"
    for number, key in enumerate((b"first", b"second"), start=1):
        digest = hmac.new(key, received.body, hashlib.sha256).digest()
        signature = received.header(f"X-DocuSign-Signature-{number}")
        assert signature == base64.b64encode(digest).decode()


async def test_a_story_arrives_in_order_and_ends_where_the_listener_refuses(
    shell: Shell, listener: LoopbackListener
) -> None:
    told = await shell.json("trigger", "--story", "decline", "--to", f"{listener.base}/hook")
    events = [received.message["event"] for received in listener.received]
    assert [message["event"] for message in told["messages"]] == events
    assert (events[0], events[-1], told["notSent"]) == (
        *("envelope-created", "envelope-declined"),
        0,
    )
    assert {message["envelopeId"] for message in told["messages"]} == {
        received.message["data"]["envelopeId"] for received in listener.received
    }
    listener.status = 500
    refused = await shell.run("trigger", "--story", "decline", "--to", f"{listener.base}/hook")
    assert refused.exit_code == 1
    assert "500 Internal Server Error" in refused.stdout
    assert "9 messages that would follow it: not sent." in refused.stdout


async def test_nobody_listens(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    done = await shell.run("trigger", "envelope-sent", "--to", url, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["taken"], told["messages"][0]["status"]) == (False, None)
    assert "refused the connection" in told["messages"][0]["error"]


async def test_without_a_listener_the_body_is_written_to_the_byte(shell: Shell) -> None:
    shown = await shell.run("trigger", "envelope-sent", "--set", "retryCount=4")
    assert json.loads(shown.stdout)["retryCount"] == 4
    assert not shown.stdout.endswith("\n")
    xml = await shell.run("trigger", "envelope-completed", "--format", "xml", "--documents", "3kB")
    root = etree.fromstring(xml.stdout.encode())
    first, certificate = (element.text or "" for element in root.iterfind(".//{*}PDFBytes"))
    assert len(base64.b64decode(first)) == 3000
    assert base64.b64decode(certificate).startswith(b"%PDF")
    made = await shell.json("trigger", "envelope-sent", "--key", "first")
    (message,) = made["messages"]
    digest = hmac.new(b"first", message["body"].encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    assert f"X-DocuSign-Signature-1: {signature}" in message["headers"]


async def test_a_change_counts_in_every_message_that_has_the_path(shell: Shell) -> None:
    subject, completed = "data.envelopeSummary.emailSubject", "completedDateTime"
    made = await shell.json(
        *("trigger", "--story", "signing-of-two", "--set", f"{subject}=Ours = yours"),
        *("--set", f"data.envelopeSummary.{completed}=2026-01-01T00:00:00Z"),
    )
    summaries = [json.loads(one["body"])["data"]["envelopeSummary"] for one in made["messages"]]
    assert {summary["emailSubject"] for summary in summaries} == {"Ours = yours"}
    assert [summary.get(completed) for summary in summaries][-2:] == [None, "2026-01-01T00:00:00Z"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give an EVENT or --story"),
        (("envelope-sent", "--story", "void"), "Give an EVENT or --story"),
        (("envelope-compelted",), "Did you mean envelope-completed"),
        (("--story", "voids"), "Did you mean void"),
        (("order.shipped",), "trigger --list"),
        (("envelope-sent", "--set", "subject"), "PATH=VALUE"),
        (("envelope-sent", "--set", "emailSubject=x"), "data.envelopeSummary.emailSubject"),
        (("envelope-sent", "--set", "retryCount=many"), "retryCount is a whole number"),
        (("envelope-sent", "--set", "data.envelopeId="), "data.envelopeId"),
        (("envelope-sent", "--set", "data.accountId=a\r\nb"), "printable ASCII"),
        (("click-agreed", "--format", "xml"), "tells of envelopes alone"),
        (("envelope-sent", "--documents", "12"), "--documents: A PDF of a page has"),
        (("envelope-sent", "--documents", "3 parsecs"), "is no size"),
        (("envelope-sent", "--documents", "80MB"), "at most 75,000,000 bytes"),
        (("envelope-sent", "--key", ""), "must not be empty"),
        (("envelope-sent", "--to", "http://10.0.0.1/"), "a private address"),
        (("envelope-sent", "--to", "http://169.254.169.254/"), "metadata address"),
        (("envelope-sent", "--publish", "--format", "xml"), "--publish stands without"),
        (("envelope-sent", "--publish", "--set", "retryCount=1"), "has no retryCount"),
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused_with_what_may_be(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    refused = await shell.run("trigger", *words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in " ".join(refused.stderr.split())


async def test_names_are_listed(shell: Shell) -> None:
    listed = (await shell.run("trigger", "--list")).stdout
    for name in ("signing-of-two", "envelope-completed", "sms-opt-out"):
        assert f"  {name}" in listed


@pytest.mark.parametrize(
    ("words", "typed", "meant"),
    [
        (["trigger"], "envelope-comp", ["envelope-completed"]),
        (["trigger", "--story"], "si", ["signing-of-two"]),
    ],
)
def test_the_shell_completes_names(words: list[str], typed: str, meant: list[str]) -> None:
    shell = BashComplete(main, {}, "heliograph", "_HELIOGRAPH_COMPLETE")
    assert [item.value for item in shell.get_completions(words, typed)] == meant


async def test_what_is_published_goes_to_the_configurations_of_the_server(
    listener: LoopbackListener, tmp_path: Path
) -> None:
    with running_server(tmp_path / "data") as folder:
        shell = Shell(folder)
        await shell.json(
            *("configurations", "create", "--name", "crm", "--all-users"),
            *("--url", f"{listener.base}/hook"),
            *("--event", "envelope-sent", "--event", "envelope-voided"),
        )
        summary = await shell.json("trigger", "--story", "void", "--publish")
        assert (summary["events"], summary["deliveries"]) == (5, 2)
        await listener.until(lambda received: len(received) == 2)
    events = [received.message["event"] for received in listener.received]
    assert events == ["envelope-sent", "envelope-voided"]
