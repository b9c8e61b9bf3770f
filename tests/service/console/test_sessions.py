"""S9, S18: who is signed in to the console, how long, and that no other site acts for them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.busy import hang
from tests.integration import ADA, PASSWORD
from tests.listener import LoopbackListener
from tests.server import serving
from tests.service.console.person import EMAIL, Person, people
from tests.support import ManualClock


async def test_a_user_signs_in_and_is_led_where_she_wanted_to_go(ada: Person) -> None:
    refused = await ada.get("failures/12?x=1")
    assert (refused.status, refused.headers["Location"]) == (
        303,
        "../sign-in?to=failures%2F12%3Fx%3D1",
    )
    wrong = await ada.sign_in(name=EMAIL, password="something else")
    assert wrong.status == 403
    assert b"is wrong" in wrong.body
    assert not ada.cookie
    done = await ada.post("sign-in?to=failures/12", {"name": EMAIL, "password": PASSWORD})
    assert (done.status, done.headers["Location"]) == (303, "./failures/12")
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert part in done.headers["Set-Cookie"]
    page = await ada.get("help")
    assert page.status == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "to",
    ["//evil.example", "/x", "http://evil.example/", "../../x", "\\\\evil", "javascript:1", "?x"],
)
async def test_s9_nobody_is_led_elsewhere_after_signing_in(ada: Person, to: str) -> None:
    path = f"sign-in?{urlencode({'to': to})}"
    done = await ada.post(path, {"name": EMAIL, "password": PASSWORD})
    assert (done.status, done.headers["Location"]) == (303, "./")


async def test_a_token_is_pasted_once_and_its_session_ends_with_it(ada: Person) -> None:
    made = await ada.api.call(
        "POST", f"{ada.api.account}/tokens", {"name": "for the console", "role": "viewer"}
    )
    token, token_id = made.json["accessToken"], made.json["tokenId"]
    assert (await ada.sign_in(token=f" {token}\n")).status == 303
    assert token not in ada.cookie
    assert await ada.is_in()
    gone = await ada.api.call("DELETE", f"{ada.api.account}/tokens/{token_id}")
    assert gone.status == 200
    assert not await ada.is_in()
    assert (await ada.sign_in(token=token)).status == 403


async def test_s18_a_session_ends_when_it_is_not_used_and_after_half_a_day(tmp_path: Path) -> None:
    clock = ManualClock()
    async with people(tmp_path, clock) as api:
        ada = Person(api)
        await ada.sign_in()
        for _ in range(12 * 2 - 1):
            clock.move(1800)
            assert await ada.is_in()
        clock.move(1801)
        assert not await ada.is_in()
        await ada.sign_in()
        clock.move(3601)
        assert not await ada.is_in()


async def test_s18_signing_out_everywhere_and_a_new_password_end_all_sessions(ada: Person) -> None:
    others = [Person(ada.api) for _ in range(3)]
    for one in (ada, *others):
        await one.sign_in()
    out = {"form_token": await others[0].form_token()}
    cookie = others[0].cookie
    assert (await others[0].post("sign-out", out)).status == 303
    assert others[0].cookie == "heliograph-console="
    others[0].cookie = cookie
    assert [await one.is_in() for one in (ada, *others)] == [True, False, True, True]
    out = {"form_token": await ada.form_token(), "everywhere": "true"}
    await ada.post("sign-out", out)
    assert [await one.is_in() for one in (ada, *others)] == [False] * 4
    await ada.sign_in()
    body = {"newPassword": "another long password"}
    await ada.api.call("PUT", f"{ada.api.account}/users/{ADA}/password", body)
    assert not await ada.is_in()


async def test_the_audit_says_who_signed_in_at_the_console_and_from_where(ada: Person) -> None:
    await ada.sign_in()
    path = f"{ada.api.connect}/audit?action=user.signed_in"
    (entry,) = (await ada.api.call("GET", path)).json["audit"]
    assert (entry["actor"], entry["address"], entry["userId"]) == (EMAIL, "127.0.0.1", ADA)


async def test_the_audit_says_which_token_was_pasted(ada: Person) -> None:
    body = {"name": "for the console", "role": "viewer"}
    made = (await ada.api.call("POST", f"{ada.api.account}/tokens", body)).json
    await ada.sign_in(token=made["accessToken"])
    path = f"{ada.api.connect}/audit?action=user.signed_in"
    (entry,) = (await ada.api.call("GET", path)).json["audit"]
    assert (entry["what"], entry["actor"]) == (f"token {made['tokenId']}", body["name"])


async def test_s13_the_audit_tells_of_the_first_failed_sign_ins_and_not_of_each(
    ada: Person,
) -> None:
    for _ in range(7):
        assert (await ada.sign_in(name=EMAIL, password="something else")).status == 403
    await ada.sign_in(name="nobody@example.com", password="something else")
    path = f"{ada.api.connect}/audit?action=user.sign_in_failed"
    entries: list[dict[str, str]] = []
    async with hang(10):
        while len(entries) < 5:  # they are noted beside the refusal
            entries = (await ada.api.call("GET", path)).json["audit"]
    assert len(entries) == 5
    assert {(entry["what"], entry["actor"], entry["address"]) for entry in entries} == {
        (f"user {ADA}", "not signed in", "127.0.0.1")
    }
    assert not any("userId" in entry for entry in entries)


async def test_s9_no_form_of_another_site_or_session_changes_anything(
    ada: Person, listener: LoopbackListener
) -> None:
    connect_id = await ada.api.configure(f"{listener.base}/x")
    other = Person(ada.api)
    await ada.sign_in()
    await other.sign_in()
    fields = {"which": "all", "action": "delete", "count": "1", "connect_id": connect_id}
    for token in ("", "x", await other.form_token()):
        refused = await ada.post("failures/do", {**fields, "form_token": token})
        assert refused.status == 403
        assert b"not one of your session" in refused.body
    done = await ada.post("failures/do", {**fields, "form_token": await ada.form_token()})
    assert done.status == 303
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}):
        login = {"name": EMAIL, "password": PASSWORD}
        refused = await Person(ada.api).post("sign-in", login, **headers)
        assert refused.status == 403
    own = {"Origin": ada.api.server.base_uri}
    assert (await Person(ada.api).post("sign-in", login, **own)).status == 303


async def test_a_link_from_elsewhere_finds_who_is_signed_in(ada: Person) -> None:
    """The browser sends no cookie with it, and does where the page goes on by itself."""
    arrived = await Person(ada.api).get("failures/1", Sec_Fetch_Site="cross-site")
    assert arrived.status == 200
    assert b'http-equiv="refresh" content="0;url=../failures/1"' in arrived.body


async def test_the_console_can_be_left_out(tmp_path: Path) -> None:
    async with serving(tmp_path, console=False) as api:
        assert (await api.call("GET", "/console", Authorization="")).status == 404
        assert (await api.call("GET", "/", Authorization="")).body.decode().splitlines()[1:] == [
            "docs      the API, call by call",
            "healthz   whether it is alive",
        ]


async def test_the_root_says_where_everything_is(ada: Person) -> None:
    said = await ada.api.call("GET", "/", Authorization="")
    assert said.body.decode().splitlines()[1] == "console/  the console"
    led = await ada.get("../", Accept="text/html")
    assert (led.status, led.headers["Location"]) == (303, "console/")


async def test_files_of_pages_are_kept_for_ever_under_their_digest(ada: Person) -> None:
    page = (await ada.get("sign-in")).body.decode()
    for path in re.findall(r'(?:href|src)="\./(static/[^"]+)"', page):
        file = await ada.get(path)
        assert file.status == 200, path
        assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert (await ada.get(re.sub("/[0-9a-f]{16}/", "/0000000000000000/", path))).status == 404
