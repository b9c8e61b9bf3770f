"""S7: a distinct secret in every field that takes one, and then none of them anywhere else.

A new field for a secret makes the first test fail until it stands in `PLANTED` (and `Life`
plants it), in `ISSUED`, or in `NOT_OURS` with the reason.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web
from click.testing import CliRunner

from heliograph.cli import main
from tests import pki
from tests.busy import hang
from tests.canaries import Canaries, forms, secret_fields
from tests.operations import all_operations
from tests.postgres_server import PostgresServer, postgres_server
from tests.process import Server, everything, started
from tests.server import Reply
from tests.service import sign_in_canaries
from tests.support import published

PLANTED = {
    "ConnectCustomConfiguration.password",
    "ConnectCustomConfiguration.salesforceAuthcode",
    "ConnectOAuthConfig.clientSecret",
    "Relay.hmacSecrets",
    "Relay.password",
    "ClientCertificate.privateKey",
    "UserPassword.newPassword",
}
ISSUED = {
    "ConnectSecret.secret",
    "ApiToken.accessToken",
    "NewAccountSummary.accessToken",
    "ClientSecret.secret",
}
"""Shown once, in the answer of the call that makes them."""

NOT_OURS = {
    "UserInfo.activationAccessCode": "DocuSign's; never filled, and never read",
}
KEPT_BY_DESIGN = ("credentials.json", "master.key", sign_in_canaries.PRIVATE_KEY)
"""Files, mode 0600, that are the place of a secret."""

STORED = 16 * 1024
"""Bytes of an answer that the log keeps."""


def test_s7_every_secret_of_the_wire_is_planted_here() -> None:
    assert secret_fields() == PLANTED | ISSUED | set(NOT_OURS)


@pytest.mark.parametrize("form", forms(b"0123456789ab"))
@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_s7_a_canary_is_found_in_each_of_its_forms(form: str, before: str, tmp_path: Path) -> None:
    canaries = Canaries()
    secret = canaries.plant("some.password").encode()
    (tmp_path / "data").write_bytes(b"\0" * 99 + forms(canaries.mark.encode())[form] + b"rest")
    assert canaries.in_folder(tmp_path)
    (tmp_path / "data").write_bytes(base64.b64encode(before.encode() + secret + b"!"))
    assert canaries.in_folder(tmp_path)
    (tmp_path / "other").write_text("no secret")
    assert canaries.in_folder(tmp_path, "data") == []


@dataclass
class Echo:
    """A listener, authorization server and alert hook that repeats what it is sent."""

    access_token: str
    base: str = ""
    paths: list[str] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = (await request.read()).decode(errors="replace")
        sent = request.headers.get("Authorization", "")
        scheme, _, text = sent.partition(" ")
        plain = base64.b64decode(text).decode() if scheme == "Basic" else text
        path = request.path
        self.paths.append(path)
        if path == "/token":
            return web.json_response({"access_token": self.access_token, "token_type": "Bearer"})
        if path == "/no-token":
            return web.json_response({"error": body, "error_description": body}, status=400)
        said = f"you sent {sent}, which is {plain}"
        if path.startswith("/cut"):  # so that the end of what is stored is inside of a secret
            before = int(path.rpartition("/")[2])
            said = "x" * (STORED - before) + (plain.partition(":")[2] or text)
        return web.Response(
            status=200 if path.startswith("/ok") else 410 if path == "/gone" else 500,
            reason=f"Echo {plain}",
            text=said,
            headers={"X-Sent": sent, "WWW-Authenticate": f'Basic realm="{plain}"'},
        )


@asynccontextmanager
async def echoing(access_token: str) -> AsyncIterator[Echo]:
    echo = Echo(access_token)
    runner = web.ServerRunner(web.Server(echo.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    echo.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield echo
    finally:
        await runner.cleanup()


@dataclass
class Life:
    """What is done to a server, and all that it says meanwhile."""

    server: Server
    echo: Echo
    canaries: Canaries
    folder: Path
    tls_url: str
    said: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.signing_in = sign_in_canaries.SigningIn(self)

    async def call(
        self, method: str, path: str, body: Any = None, *, shows: bool = False, **headers: str
    ) -> Reply:
        """One call; its answer must hold no secret, unless it `shows` one that it made."""
        answer = await asyncio.to_thread(self.server.call, method, path, body, **headers)
        if not shows:
            head = repr(answer.headers).encode()
            self.said.append((f"{method} {path} {body!r:.60}", head + answer.body))
        return answer

    async def command(
        self,
        *words: str,
        status: int = 0,
        stdin: str | None = None,
        shows: bool = False,
        **env: str,
    ) -> str:
        """A command that ends with `status`; its output must hold no secret, unless it `shows`
        one that it made."""
        given = {"HELIOGRAPH_DATA_DIR": str(self.folder / "data"), "COLUMNS": "300", **env}
        done = await asyncio.to_thread(CliRunner(env=given).invoke, main, words, input=stdin)
        if not shows:
            said = done.output_bytes + repr(done).encode()
            self.said.append((f"heliograph {' '.join(words)}", said))
        assert done.exit_code == status, (words, done.output)
        return str(done.output)

    # ---------------------------------------------------------------- what is planted

    async def plant(self) -> None:
        """Put a secret into every field that takes one."""
        plant, base = self.canaries.plant, self.echo.base
        password = {
            "userName": "user",
            "password": plant("ConnectCustomConfiguration.password"),
            "salesforceAuthcode": plant("ConnectCustomConfiguration.salesforceAuthcode"),
        }
        client = {
            "authorizationServerUrl": f"{base}/token",
            "clientId": "heliograph",
            "clientSecret": plant("ConnectOAuthConfig.clientSecret"),
        }
        refused = client | {"authorizationServerUrl": f"{base}/no-token"}
        oauth = {"includeOAuth": "true"}
        pair = pki.Authority().pair("client")
        middle = "\n".join(pair.key.splitlines()[1:-1])
        self.canaries.know("ClientCertificate.privateKey", middle.splitlines()[1])
        mutual = {"certificate": pair.certificate, "privateKey": pair.key}
        assert (await self.call("PUT", "client_certificate", mutual)).status == 200
        assert (await self.call("POST", "oauth", client)).status == 201
        # Its beginning is shown, as that of every key.
        secret = f"abcd{plant('Relay.hmacSecrets')}"
        relay = {"name": "r", "hmacSecrets": [secret], "userName": "user"}
        made = await self.call("POST", "relays", {**relay, "password": plant("Relay.password")})
        assert made.status == 201, made.body
        ends = {"retrySchedule": ["1", "3600"]}
        wanted: dict[str, dict[str, Any]] = {
            "/ok": password,
            "/bad": password | ends,
            "/gone": password,
            "/ok/own-oauth": oauth | {"oAuthConfiguration": client},
            "/bad/own-oauth": oauth | {"oAuthConfiguration": client},
            "/bad/no-token": oauth | {"oAuthConfiguration": refused},
            "/ok/account-oauth": oauth,
            "/bad/account-oauth": oauth,
            **{f"/cut/{before}": password | ends for before in (13, 20, 27)},
            **{f"/cut/oauth/{before}": oauth for before in (14, 25)},
        }
        for path, fields in wanted.items():
            await self._configure(base + path, fields)
        await self._configure(self.tls_url, {"requireMutualTls": "true"})
        for name, path, body in (
            ("ConnectSecret.secret", "secret", None),
            ("ApiToken.accessToken", f"{self.account}/tokens", {"name": "t"}),
            ("NewAccountSummary.accessToken", "/restapi/v2.1/accounts", {"accountName": "b"}),
        ):
            made = await self.call("POST", path, body, shows=True)
            assert made.status == 201, made.body
            self.canaries.know(name, made.json[name.partition(".")[2]])
        self.canaries.know("the first token", self.server.token)

    @property
    def account(self) -> str:
        return self.server.connect.removesuffix("/connect")

    async def _configure(self, url: str, fields: Mapping[str, Any]) -> None:
        wanted = {
            "name": url[-20:],
            "urlToPublishTo": url,
            "allowEnvelopePublish": "true",
            "allUsers": "true",
            "enableLog": "true",
            "events": ["envelope-sent"],
            **fields,
        }
        made = await self.call("POST", self.server.connect, wanted)
        assert made.status == 201, made.body

    # --------------------------------------------------------------- what is done to it

    async def deliver(self) -> None:
        """Deliveries that succeed, fail and are made anew; test sends; the past."""
        for number in range(3):
            body = published(envelope_id=f"e-{number}", event_id=f"e-{number}")
            assert (await self.call("POST", "events", body)).status == 202
        configurations = await self._configurations()
        async with hang(30):
            while (
                int((await self.call("GET", "logs")).json["totalRecords"]) < len(configurations) * 2
            ):
                await asyncio.sleep(0.05)
        for connect_id in configurations:
            assert (await self.call("POST", f"{connect_id}/test")).status == 200
        again = {"envelopeIds": ["e-0", "e-1"], "synchronous": "true"}
        assert (await self.call("PUT", "envelopes/retry_queue", again)).status == 200
        past = {
            "envelopes": ["e-0"],
            "config": {
                "urlToPublishTo": f"{self.echo.base}/bad/past",
                "userName": "user",
                "password": self.canaries.plant("ConnectCustomConfiguration.password"),
            },
        }
        made = await self.call("POST", "envelopes/publish/historical", past)
        assert made.status == 201, made.body
        async with hang(30):
            while "/bad/past" not in self.echo.paths:
                await asyncio.sleep(0.05)

    async def _configurations(self) -> list[str]:
        listed = (await self.call("GET", self.server.connect)).json["configurations"]
        return [one["connectId"] for one in listed]

    async def mistake(self) -> None:
        """Calls that are refused, with a secret where it does not belong."""
        secret = self.canaries.plant("ConnectCustomConfiguration.password")
        url = f"{self.echo.base}/ok"
        text = json.dumps({"urlToPublishTo": url, "password": secret})
        for body in (
            *({"urlToPublishTo": url, name: secret} for name in _CHECKED),
            *({"urlToPublishTo": url, name: {"x": secret}} for name in ("password", "userName")),
            {"urlToPublishTo": url.replace("//", f"//user:{secret}@")},
            {"urlToPublishTo": f"{secret}://example.com/"},
            {"connectId": secret, "urlToPublishTo": url},
            {"urlToPublishTo": url, "oAuthConfiguration": secret},
            {"urlToPublishTo": url, "oAuthConfiguration": {"clientSecret": [secret]}},
            {"urlToPublishTo": url, "certificateAuthorities": secret},
            text[:-1].encode(),
            text.replace('"password": ', "").encode(),
            text.replace(secret, f"{secret}\\u0000").encode(),
        ):
            method = "PUT" if isinstance(body, dict) and "connectId" in body else "POST"
            answer = await self.call(method, self.server.connect, body)
            assert answer.status == 400, (body, answer.body)
        for xml in (
            f"<connectCustomConfiguration><password>{secret}</passwort>",
            f"<connectCustomConfiguration><password>a&{secret};b</password>",
            f"<connectCustomConfiguration><password><{secret}/></password>"
            "</connectCustomConfiguration>",
            f"<{secret}><password>x</password></{secret}>",
            f"<connectCustomConfiguration>{secret}<password></connectCustomConfiguration>",
        ):
            answer = await self.call(
                *("POST", self.server.connect, xml.encode()), Content_Type="application/xml"
            )
            assert answer.status == 400, answer.body
        bad = {"certificate": secret, "privateKey": secret}
        assert (await self.call("PUT", "client_certificate", bad)).status == 400
        for body in ({"clientSecret": {"x": secret}}, {"authorizationServerUrl": secret}):
            assert (await self.call("PUT", "oauth", body)).status == 400
        for given in (f"Basic {secret}", f"Bearer {secret}", f"Bearer a {secret}", secret):
            answer = await self.call("GET", "logs", Authorization=given)
            assert answer.status == 401
        for head in (
            f"GET /{secret} HTTP/1.1\r\nAuthorization {secret}\r\n\r\n",
            f"{secret}\r\n\r\n",
        ):
            with self.server.open() as connection:
                connection.sendall(head.encode())
                self.said.append(("no HTTP", await asyncio.to_thread(everything, connection)))
        event = published(eventNotification={"url": url, "password": secret, "events": [{}]})
        assert (await self.call("POST", "events", event)).status == 400

    async def read_everything(self) -> int:
        """Every GET operation, in JSON and XML, about things that are there; how many."""
        ids = await self._ids()
        operations = [one for one in all_operations() if one.method == "GET"]
        for operation in operations:
            path = re.sub(
                r"\{(\w+)(?::path)?\}", lambda found: ids[found[1]], f"/v2.1{operation.path}"
            )
            for accept in ("application/json", "application/xml"):
                for query in ("", "?additional_info=true"):
                    answer = await self.call("GET", path + query, Accept=accept)
                    assert answer.status == 200, (path, answer.body)
        lines = await self.call("GET", "failures", Accept="application/x-ndjson")
        assert lines.body
        for path in ("/metrics", "/healthz", "/readyz"):
            assert (await self.call("GET", path)).status == 200
        return len(operations)

    async def _ids(self) -> dict[str, str]:
        users = f"{self.account}/users"
        new = {"newUsers": [{"userName": "Ada", "email": "ada@example.com"}]}
        await self.call("POST", users, new)
        groups = {"groups": [{"groupName": "sales"}]}
        group = await self.call("POST", f"{self.account}/groups", groups)
        past = (await self.call("GET", "envelopes/publish/historical")).json
        (transaction, *_) = past["envelopePublishTransactions"]
        keys = (await self.call("GET", "secret")).json["secrets"]
        return {
            "accountId": self.server.credentials.account_id,
            "connectId": (await self._configurations())[0],
            "deliveryId": (await self.call("GET", "deliveries")).json["deliveries"][0][
                "deliveryId"
            ],
            "eventId": (await self.call("GET", "events")).json["events"][0]["eventId"],
            "failureId": (await self.call("GET", "failures")).json["failures"][0]["failureId"],
            "incidentId": (await self.call("GET", "incidents")).json["incidents"][0]["incidentId"],
            "jobId": (await self.call("POST", "republish_jobs?error=nothing")).json["jobId"],
            "logId": (await self.call("GET", "logs")).json["logs"][0]["logId"],
            "userId": (await self.call("GET", users)).json["users"][0]["userId"],
            "integrationKey": self.signing_in.integration_key,
            "groupId": group.json["groups"][0]["groupId"],
            "transactionId": transaction["envelopePublishTransactionId"],
            "keyId": keys[0]["keyId"],
            "relayName": "r",
        }

    async def command_everything(self) -> None:
        """The commands, with secrets from files and pipes, and some that are refused."""
        secret = self.canaries.plant("ConnectCustomConfiguration.password")
        file = self.folder / "given.json"
        url = f"{self.echo.base}/ok/cli"
        file.write_text(json.dumps({"urlToPublishTo": url, "userName": "u", "password": secret}))
        await self.command("configurations", "create", "--file", str(file))
        file.unlink()
        for kind in (
            *("configurations", "logs", "failures", "republish"),
            *("hmac-keys", "tokens", "users"),
        ):
            await self.command(kind, "list")
        for connect_id in (await self._configurations())[:3]:
            await self.command("configurations", "show", connect_id)
        (log, *_) = (await self.call("GET", "logs")).json["logs"]
        await self.command("logs", "show", log["logId"])
        (failure, *_) = (await self.call("GET", "failures")).json["failures"]
        await self.command("failures", "show", failure["failureId"])
        for name in ("failures.csv", "failures.ndjson"):
            await self.command("failures", "export", str(self.folder / name))
        await self.command("connect-oauth", "show")
        await self.command(
            *("connect-oauth", "update", "--secret-file", "-"),
            stdin=self.canaries.plant("ConnectOAuthConfig.clientSecret") + "-new",
        )
        await self.command("connect-oauth", "update", "--parameter", "x", status=2)
        await self.command(
            "configurations",
            "list",
            status=4,
            HELIOGRAPH_BASE_URI=self._base,
            HELIOGRAPH_ACCOUNT_ID="1",
            HELIOGRAPH_ACCESS_TOKEN=secret,
        )

    @property
    def _base(self) -> str:
        return self.server.credentials.base_uri

    def processes(self) -> list[str]:
        """The command lines of the server and its threads' children, as any user sees them."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    found += self.canaries.in_bytes((folder / "cmdline").read_bytes(), str(folder))
                except OSError:
                    continue  # it has ended
        return found

    def leaks(self) -> list[str]:
        """What was found in all that the server and the commands said."""
        return [leak for where, text in self.said for leak in self.canaries.in_bytes(text, where)]


_CHECKED = (
    *("allUsers", "includeHMAC", "deliveryMode", "deliveryOrder", "maxPerSecond", "retrySchedule"),
    "pausePublish",
)


async def live(folder: Path, canaries: Canaries) -> None:
    """One whole life of a server with secrets in it; nothing may show one."""
    token = canaries.plant("an access token of the authorization server")
    servers, clients = pki.Authority("servers"), pki.Authority("clients")
    context = pki.serving(servers.pair("localhost"), folder, clients=clients, must=False)
    folder = folder / "life"
    folder.mkdir()
    async with echoing(token) as echo:
        os.environ["HELIOGRAPH_ALERT_URL"] = f"{echo.base}/alert/{canaries.plant('alert')}"
        try:
            with (
                pki.secured(context) as seen,
                started(folder, "--log-level", "debug", *sign_in_canaries.OPTIONS) as server,
            ):
                canaries.know("the master key", (folder / "data/master.key").read_bytes())
                life = Life(server, echo, canaries, folder, seen.url)
                await life.plant()
                await life.deliver()
                await life.mistake()
                await life.signing_in.plant()
                await life.signing_in.mistake()
                assert await life.read_everything() > 15
                await life.command_everything()
                await life.signing_in.command_everything()
                # The throw-away server flushes nothing, which doctor minds.
                shared = bool(os.environ.get("HELIOGRAPH_DATABASE_URL"))
                await life.command("doctor", status=1 if shared else 0)
                if not shared:
                    await life.command("backup", "--to", str(folder / "backup.db"))
                assert life.processes() == []
        finally:
            del os.environ["HELIOGRAPH_ALERT_URL"]
    assert {"/token", "/no-token", "/ok", "/bad"} <= set(echo.paths)
    assert b'"level":"debug"' in server.log.read_bytes()
    wanted = PLANTED | ISSUED | sign_in_canaries.SECRETS
    assert canaries.planted >= wanted, f"not planted: {wanted - canaries.planted}"
    said = f"{canaries.secrets} secrets, looked for in {len(life.said)} answers and outputs"
    sys.stdout.write(f"canaries: {said}\n")
    assert life.leaks() == []
    assert canaries.in_folder(folder, *KEPT_BY_DESIGN) == []


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that has nothing of other tests: all its files are looked into."""
    with postgres_server() as server:
        yield server


@pytest.mark.timeout(400)
async def test_s7_no_secret_leaves_its_place_on_sqlite(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    canaries = Canaries()
    await live(tmp_path, canaries)
    data = tmp_path / "life" / "data"
    assert (data / "heliograph.db").exists()
    copied = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "heliograph.cli", "copy", "--from", f"sqlite:{data}/heliograph.db"],
        capture_output=True,
        check=True,
        env={**os.environ, "HELIOGRAPH_COPY_TO": own_postgres.url},
    )
    assert canaries.in_bytes(copied.stdout + copied.stderr, "copy") == []
    assert in_postgres(canaries, own_postgres) == []


@pytest.mark.timeout(400)
async def test_s7_no_secret_leaves_its_place_on_postgresql(
    tmp_path: Path, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries = Canaries()
    password = canaries.plant("the database's password")
    url = own_postgres.url.replace("//postgres@", f"//postgres:{password}@")
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", url)
    await live(tmp_path, canaries)
    assert in_postgres(canaries, own_postgres) == []
    # Nor does it where the database cannot be had.
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", url.replace("/postgres?", "/no_such_one?"))
    for command in ("serve", "doctor", "dispatch"):
        done = await asyncio.to_thread(
            subprocess.run,
            [*(sys.executable, "-m", "heliograph.cli", command), "--data-dir", str(tmp_path / "x")],
            capture_output=True,
            check=False,
        )
        assert done.returncode != 0
        assert canaries.in_bytes(done.stdout + done.stderr, command) == []


def in_postgres(canaries: Canaries, server: PostgresServer) -> list[str]:
    """What is found in the database's tables, and in all files of its server: WAL, log, all."""
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("checkpoint")
    return canaries.in_database(server.url) + canaries.in_folder(server.folder)
