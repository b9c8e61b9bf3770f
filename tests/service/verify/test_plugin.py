"""The pytest plugin, as somebody meets it who tests a listener: in a run of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points, requires

import pytest

pytest_plugins = ["pytester"]

ALONE = ("-p", "no:cacheprovider", "-W", "error")
"""Whatever is left open is an error."""

APPS = """
import base64, hashlib, hmac, json

class Store:
    def __init__(self, key):
        self.key, self.done = key, []

    def take(self, signature, body):
        right = base64.b64encode(hmac.digest(self.key.encode(), body, "sha256")).decode()
        if not hmac.compare_digest(right, signature):
            return 401
        self.done.append(json.loads(body)["event"])
        return 200

def wsgi(store):
    def app(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status = store.take(environ.get("HTTP_X_DOCUSIGN_SIGNATURE_1", ""), body)
        start_response(f"{status} Done", [("Content-Type", "text/plain")])
        return [b"thank you"]
    return app

def asgi(store):
    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status = store.take(headers.get("x-docusign-signature-1", ""), body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"thank you"})
    return app
"""


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this project take seconds to load, and warn of what is not set."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "heliograph.verify.plugin")


def passes(pytester: pytest.Pytester, text: str, count: int) -> None:
    pytester.makepyfile(apps=APPS, test_listener=text)
    done = pytester.runpytest_subprocess(*ALONE)
    done.assert_outcomes(passed=count)


def test_it_is_an_entry_point_in_an_extra_of_its_own() -> None:
    (plugin,) = [one for one in entry_points(group="pytest11") if one.name == "heliograph"]
    assert plugin.value == "heliograph.verify.plugin"
    needed = [one for one in requires("heliograph") or () if one.startswith("pytest")]
    assert [one.partition(";")[2].strip().replace('"', "'") for one in needed] == [
        "extra == 'pytest'"
    ]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_an_application_is_served_and_fired_at(pytester: pytest.Pytester, kind: str) -> None:
    passes(
        pytester,
        f"""
        import apps

        def test_it(heliograph_listener):
            store = apps.Store(heliograph_listener.key)
            url = heliograph_listener.serve(apps.{kind}(store))
            answer = heliograph_listener.fire("envelope-sent", to=url)
            assert (answer.status, answer.body, answer.taken) == (200, b"thank you", True)
            assert heliograph_listener.fire(to=url, keys=["another"]).status == 401
            assert not heliograph_listener.fire(to=url, keys=[]).taken
            assert store.done == ["envelope-sent"]
            told = heliograph_listener.tell(to=url)
            assert all(answer.taken for answer in told)
            assert store.done[-1] == "envelope-completed"
        """,
        1,
    )


def test_arrivals_are_waited_for_and_their_signatures_told(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        import pytest, threading

        def test_signed(heliograph_listener):
            later = threading.Timer(0.1, heliograph_listener.fire)
            later.start()
            (arrival,) = heliograph_listener.wait_for("envelope-completed", within=20)
            later.join()
            assert arrival.signed
            assert arrival.json["data"]["envelopeId"] == arrival.envelope_id
            assert arrival.format == "json"

        def test_unsigned(heliograph_listener):
            assert heliograph_listener.arrivals == []
            changes = {"data.envelopeSummary.emailSubject": "Hello"}
            heliograph_listener.fire(changes=changes, retry_count=3, keys=[])
            (arrival,) = heliograph_listener.wait_for()
            assert not arrival.signed
            assert arrival.json["retryCount"] == 3
            assert arrival.json["data"]["envelopeSummary"]["emailSubject"] == "Hello"

        def test_what_is_not_there(heliograph_listener):
            heliograph_listener.fire("envelope-sent", form="xml")
            with pytest.raises(AssertionError, match="0 of 1 envelope-voided .* envelope-sent"):
                heliograph_listener.wait_for("envelope-voided", within=0.1)
            with pytest.raises(ValueError, match="data.nothing"):
                heliograph_listener.fire(changes={"data.nothing": "x"})
            with pytest.raises(ValueError, match="no format 'yaml'"):
                heliograph_listener.fire(form="yaml")
            closed = heliograph_listener.fire(to="http://127.0.0.1:1/")
            assert closed.status is None and closed.error
            assert "private address" in heliograph_listener.fire(to="http://10.0.0.1/").error
        """,
        3,
    )


def test_the_kit_is_played_against_an_application(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        import apps

        def test_it(heliograph_listener):
            url = heliograph_listener.serve(apps.wsgi(apps.Store(heliograph_listener.key)))
            names = ["usual-message", "wrong-signature", "rotated-key", "duplicate-once"]
            judged = heliograph_listener.verify(url, only=names)
            assert judged.passed == ["usual-message", "wrong-signature"]
            assert judged.failed == {"rotated-key": "answered 401; a 2xx was expected"}
            assert judged.skipped == {"duplicate-once": "no --probe"}
        """,
        1,
    )


def test_a_failure_shows_what_came_and_no_thread_is_left(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading

        def test_it(heliograph_listener):
            heliograph_listener.wait_for("envelope-sent", within=0.05)

        def test_after():
            assert threading.active_count() == 1
        """
    )
    done = pytester.runpytest_subprocess(*ALONE)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*0 of 1 envelope-sent came in 0.05 s; in all there came nothing*"])


@pytest.mark.parametrize(
    ("program", "what"),
    [
        (
            "import sys; sys.modules['pytest'] = None\n"
            "import heliograph.verify.fixture, heliograph.cli.commands.verify",
            "nothing but the plugin itself needs pytest",
        ),
        (
            "import sys, heliograph.verify.plugin\n"
            "heavy = {'heliograph.outbound', 'heliograph.wire', 'lxml', 'uvicorn'}\n"
            "assert not heavy & set(sys.modules)",
            "a run without the fixture pays for little",
        ),
    ],
    ids=lambda text: text if " " in text and "\n" not in text else "",
)
def test_what_is_imported(program: str, what: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, (what, done.stderr)
