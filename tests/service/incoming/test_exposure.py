"""S14: nobody else reaches the server unless that is safe, or was accepted; S10 on every answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from heliograph.access.credentials_file import Credentials
from heliograph.incoming.exposure import Exposed, exposure_check, is_local
from heliograph.listen import zoo
from heliograph.model.accounts import Secret
from heliograph.service import running
from heliograph.settings import Settings
from tests.busy import hang_times
from tests.server import Client

EVERYWHERE = "0.0.0.0"  # noqa: S104 (nothing listens there)
TLS: dict[str, Any] = {"tls_cert": "server.pem", "tls_key": "server.key"}
GOOD = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdo"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_s14_on_this_machine_anything_goes(host: str, tmp_path: Path) -> None:
    assert is_local(host)
    given: dict[str, Any] = {"host": host, "egress": "emulator", "data_dir": tmp_path}
    assert exposure_check(Settings(**given)).passed


@pytest.mark.parametrize(
    "host", [EVERYWHERE, "::", "", "10.0.0.7", "2001:db8::1", "fe80::1%lo", "hooks.example.org"]
)
def test_s14_beyond_it_a_start_in_the_clear_is_refused(host: str, tmp_path: Path) -> None:
    assert not is_local(host)
    check = exposure_check(Settings(host=host, data_dir=tmp_path))
    assert not check.passed
    assert "in the clear" in check.found
    assert "--tls-cert" in check.mend
    assert "--i-accept-exposure" in check.mend


@pytest.mark.parametrize(
    ("given", "danger"),
    [
        (TLS, ""),
        ({"trusted_proxies": "10.0.0.0/8"}, ""),
        ({**TLS, "egress": "private"}, ""),
        ({**TLS, "egress": "emulator"}, "emulator"),
        ({"trusted_proxies": "10.0.0.0/8", "egress": "emulator"}, "emulator"),
        ({"egress": "emulator"}, "in the clear"),
    ],
)
def test_s14_tls_or_a_proxy_makes_it_safe_and_the_emulator_never_is(
    given: dict[str, str], danger: str, tmp_path: Path
) -> None:
    found: dict[str, Any] = {"host": EVERYWHERE, "data_dir": tmp_path, **given}
    check = exposure_check(Settings(**found))
    assert check.passed is (not danger)
    assert danger in check.found
    accepted = exposure_check(Settings(**found, i_accept_exposure=True))
    assert accepted.passed
    assert danger in accepted.found


@pytest.mark.parametrize(
    ("token", "safe"),
    [(GOOD, True), ("secret", False), ("", False), ("a" * 60, False), (GOOD[:21], False)],
)
def test_s14_a_token_that_can_be_guessed_is_refused(token: str, safe: bool, tmp_path: Path) -> None:
    Credentials("http://127.0.0.1:1", "a", Secret(token)).write(tmp_path)
    check = exposure_check(Settings(host=EVERYWHERE, data_dir=tmp_path, **TLS))
    assert check.passed is safe
    assert token not in check.found or not token
    assert exposure_check(Settings(data_dir=tmp_path)).passed


async def test_s14_a_refused_start_listens_nowhere_and_writes_nothing(tmp_path: Path) -> None:
    settings = Settings(host=EVERYWHERE, port=0, data_dir=tmp_path / "data")
    with pytest.raises(Exposed, match="in the clear"):
        async with running(settings):
            raise AssertionError("it started")
    assert not (tmp_path / "data").exists()


def heliograph(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "heliograph.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60 * hang_times(),
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", **environment},
        check=False,
    )


def test_s14_serve_says_what_to_do_and_doctor_shows_it(tmp_path: Path) -> None:
    refused = heliograph("serve", "--host", EVERYWHERE, "--port", "0", "--data-dir", tmp_path)
    assert refused.returncode == 2
    assert "tokens would cross the network in the clear" in refused.stderr
    assert "--trusted-proxies" in refused.stderr

    def shown(**environment: str) -> dict[str, Any]:
        told = heliograph("doctor", "--data-dir", tmp_path, "--json", **environment)
        found = {one["name"]: one for one in json.loads(told.stdout)["checks"]}
        check: dict[str, Any] = found["exposure"]
        return check

    assert shown()["passed"]
    assert not shown(HELIOGRAPH_HOST=EVERYWHERE)["passed"]
    accepted = shown(HELIOGRAPH_HOST=EVERYWHERE, HELIOGRAPH_I_ACCEPT_EXPOSURE="true")
    assert accepted["passed"]
    # What the last start was given as an option is in credentials.json.
    Credentials("http://0.0.0.0:1", "a", Secret(GOOD)).write(tmp_path)
    assert "in the clear" in shown()["found"]
    Credentials("https://hg.example.org:1", "a", Secret(GOOD)).write(tmp_path)
    assert shown()["passed"]


def test_s14_the_server_does_not_load_the_listener_that_misbehaves() -> None:
    code = (
        "import sys, heliograph.cli.commands.serve, heliograph.service\n"
        "print([one for one in sys.modules if one.partition('heliograph.listen')[2][:1] == '.'"
        " or one == 'heliograph.listen'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60 * hang_times(),
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(zoo.BEHAVIOURS))
async def test_s14_no_behaviour_of_that_listener_is_a_route_of_the_server(
    api: Client, name: str
) -> None:
    for path in (f"/{name}", f"/listen/{name}", f"{api.account}/{name}", f"/restapi/v2.1/{name}"):
        for method in ("GET", "POST"):
            reply = await api.call(method, path, {})
            assert (reply.status, reply.error) == (404, "RESOURCE_NOT_FOUND"), path


async def test_s10_every_answer_is_of_the_type_it_says_and_none_of_the_api_is_stored(
    api: Client,
) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/nowhere", api.connect):
        reply = await api.call("GET", path)
        assert reply.headers["X-Content-Type-Options"] == "nosniff", path
    made = await api.call("POST", "secret")
    assert made.status == 201
    assert made.headers["Cache-Control"] == "no-store"
    token = {"name": "t", "role": "viewer"}
    made = await api.call("POST", f"{api.account}/tokens", token)
    assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
    refused = await api.call("GET", api.connect, Authorization="")
    assert (refused.status, refused.headers["Cache-Control"]) == (401, "no-store")
    nowhere = await api.call("GET", "/nowhere")
    assert (nowhere.status, nowhere.headers["Cache-Control"]) == (404, "no-store")
    no_method = await api.call("POST", "/healthz")
    assert (no_method.status, no_method.headers["Cache-Control"]) == (405, "no-store")
    streamed = await api.call("GET", "failures", Accept="application/x-ndjson")
    assert (streamed.status, streamed.headers["Cache-Control"]) == (200, "no-store")
