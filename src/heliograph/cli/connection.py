"""The way to a server: where it is, with which token, and calls that wait when it is busy."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import click
import msgspec
from yarl import URL

from heliograph.access.credentials_file import FILE_NAME, Credentials
from heliograph.cli import data_dirs
from heliograph.cli.exits import Exit, Stop, wrong
from heliograph.model.accounts import Secret
from heliograph.settings import PREFIX, Settings

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
FOLLOWED: Final = "text/event-stream"

BASE_URI: Final = PREFIX + "BASE_URI"
ACCOUNT_ID: Final = PREFIX + "ACCOUNT_ID"
ACCESS_TOKEN: Final = PREFIX + "ACCESS_TOKEN"
CA_CERT: Final = PREFIX + "CA_CERT"

_MOST_TRIES: Final = 5
_LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries of a call that the server could not take."""

_LONGEST_BURST: Final = 30
"""Seconds that a limit of calls in a burst makes a caller wait; an hour's is not waited for."""

_LONGEST_CALL: Final = 130.0
"""Seconds: a synchronous republish may take 110."""

_LONGEST_SILENCE: Final = 60.0
"""Seconds: who follows is told within 15 that the connection is alive."""


json_option = click.option("--json", "as_json", is_flag=True, help="The API's document.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
"""What many commands have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body) if self.body.strip() else None

    @property
    def next_page(self) -> str | None:
        """The path of the next page of a listing (RFC 8288)."""
        link = self.headers.get("Link", "")
        return link[1 : link.index(">")] if link.startswith("<") and 'rel="next"' in link else None


_data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=data_dirs.VARIABLE,
    show_envvar=True,
    help=f"The server's data directory, where {FILE_NAME} is. Without, the one of the current "
    "folder, such as ./hg.",
)


def data_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data-dir` of a command that looks into it; with a `database_url` there may be none."""

    @functools.wraps(command)
    def with_data_dir(data_dir: Path | None, **rest: Any) -> Any:
        otherwise = Settings().data_dir if rest.get("database_url") else None
        return command(data_dir=data_dir or data_dirs.found(otherwise), **rest)

    return _data_dir_option(with_data_dir)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which server is meant; the command gets a `credentials`."""

    @functools.wraps(command)
    def with_credentials(server: Callable[[], Credentials], **rest: Any) -> Any:
        return command(credentials=server(), **rest)

    return options_of_a_server(with_credentials)


def options_of_a_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command that may need none: its `server` finds the credentials, or raises
    Stop."""

    @functools.wraps(command)
    def with_server(
        data_dir: Path | None,
        base_uri: str | None,
        account_id: str | None,
        token: str | None,
        ca_cert: Path | None,
        **rest: Any,
    ) -> Any:
        def server() -> Credentials:
            credentials = find(data_dir, base_uri, account_id, token)
            return credentials if ca_cert is None else replace(credentials, ca_cert=ca_cert)

        return command(server=server, **rest)

    options = [
        click.option("--base-uri", envvar=BASE_URI, show_envvar=True, help="The server's address."),
        click.option("--account-id", envvar=ACCOUNT_ID, show_envvar=True, help="The account."),
        click.option(
            "--token",
            envvar=ACCESS_TOKEN,
            show_envvar=True,
            help="The access token. Other users of this machine can read a command line: the "
            "environment is the better place.",
        ),
        click.option(
            "--ca-cert",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar=CA_CERT,
            show_envvar=True,
            help="The authority to trust for https, instead of the system's: a PEM file.",
        ),
    ]
    wrapped: Callable[..., Any] = with_server
    for option in reversed(options):
        wrapped = option(wrapped)
    return _data_dir_option(wrapped)


def find(
    data_dir: Path | None, base_uri: str | None, account_id: str | None, token: str | None
) -> Credentials:
    """Credentials as given, and what is not given from the data directory.

    A token of the data directory is never sent to an address that was given otherwise, nor a token
    that was given to an address which nobody named: a folder that somebody else has made may have
    one.

    Raises:
        Stop: something is missing, or cannot be used.
    """
    if token and not (token.isascii() and token.isprintable()):
        raise wrong(f"--token ({ACCESS_TOKEN}) has a sign that no token has.")
    if base_uri:
        needed = {
            f"--account-id ({ACCOUNT_ID})": account_id,
            f"--token ({ACCESS_TOKEN})": token,
        }
        missing = [name for name, value in needed.items() if not value]
        if not account_id or not token:
            raise wrong(
                f"Also needed: {' and '.join(missing)}.",
                f"What {FILE_NAME} has is not sent to an address that --base-uri gives.",
            )
        return Credentials(_clean(base_uri), account_id, Secret(token))
    folder = data_dir or data_dirs.found()
    if token and data_dir is None:
        raise wrong(
            f"It is not said whose the token is that --token or {ACCESS_TOKEN} gives.",
            f"It is not sent to an address that was only found, here in {folder / FILE_NAME}:",
            f"name the server with --data-dir {folder} or with --base-uri and --account-id, or "
            "leave the token out.",
        )
    try:
        known = Credentials.read(folder)
    except FileNotFoundError:
        raise wrong(
            f"There is no {FILE_NAME} in {folder}.",
            f"Start a server with `heliograph serve --data-dir {folder}`, or say with --data-dir",
            f"or {data_dirs.VARIABLE} where one runs, or give --base-uri, --account-id and "
            "--token.",
        ) from None
    except OSError as error:
        raise wrong(f"{folder / FILE_NAME} cannot be read: {error.strerror}.") from None
    return replace(
        known,
        account_id=account_id or known.account_id,
        access_token=Secret(token) if token else known.access_token,
    )


class Connection:
    """Calls below an account's `connect` path; use as an async context manager."""

    def __init__(self, credentials: Credentials) -> None:
        self._base = credentials.base_uri
        account = quote(credentials.account_id, safe="")
        self.account = f"/restapi/v2.1/accounts/{account}"
        self._connect = f"{self.account}/connect"
        self._headers = {"Authorization": f"Bearer {credentials.access_token.reveal()}"}
        self._tls = _trust(credentials)

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_LONGEST_CALL, sock_connect=10)
        connector = aiohttp.TCPConnector(ssl=self._tls)
        self._session = aiohttp.ClientSession(
            timeout=timeout, headers=self._headers, connector=connector
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        patient: bool = False,
    ) -> Answer:
        """One call; waits and tries again a few times while the server answers 503.

        Args:
            method: The HTTP method.
            path: Below `connect`; one that begins with a slash is used as it stands.
            query: Query parameters.
            body: The body; its type is JSON unless `headers` say otherwise.
            headers: More headers.
            patient: Try again a few times also where no answer came. The call may have been done:
                only for calls that add nothing when they are repeated.

        Raises:
            Stop: refused, or not reached.
        """
        url, sent = self._url(path, query), {"Content-Type": JSON, **(headers or {})}
        for number in range(1, _MOST_TRIES + 1):
            last = number == _MOST_TRIES
            try:
                async with self._session.request(
                    method, url, data=body, headers=sent, allow_redirects=False
                ) as response:
                    answer = Answer(response.status, response.headers, await response.read())
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if last or not patient:
                    raise self._unreachable(error) from None
                await asyncio.sleep(_pause(number, None))
                continue
            if not last and (pause := _asked_to_wait(number, answer)) is not None:
                await asyncio.sleep(pause)
                continue
            return self._checked(answer)
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def lines(
        self, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A listing as NDJSON, line by line; waits for its beginning as `call` does."""
        forever = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_LONGEST_CALL)
        try:
            for number in range(1, _MOST_TRIES + 1):
                async with self._session.get(
                    self._url(path, query),
                    headers={"Accept": LINES},
                    allow_redirects=False,
                    timeout=forever,
                ) as answer:
                    if answer.status == 200:
                        yield _lines_of(answer.content)
                        return
                    refused = Answer(answer.status, answer.headers, await answer.read())
                pause = None if number == _MOST_TRIES else _asked_to_wait(number, refused)
                if pause is None:
                    raise self._refusal(refused)
                await asyncio.sleep(pause)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from None

    @asynccontextmanager
    async def followed(
        self, path: str, query: Mapping[str, str], last_id: str
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a listing that is followed, behind the event of `last_id`."""
        headers = {"Accept": FOLLOWED, **({"Last-Event-ID": last_id} if last_id else {})}
        forever = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_LONGEST_SILENCE)
        try:
            async with self._session.get(
                self._url(path, query), headers=headers, allow_redirects=False, timeout=forever
            ) as answer:
                if answer.status != 200:
                    refused = Answer(answer.status, answer.headers, await answer.read())
                    raise self._refusal(refused)
                yield _lines_of(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None

    async def alive(self) -> tuple[int, Any] | None:
        """What `/readyz` says, or None where nobody answers."""
        try:
            async with self._session.get(
                URL(self._base) / "readyz", allow_redirects=False
            ) as answer:
                body = await answer.read()
                try:
                    return answer.status, msgspec.json.decode(body)
                except msgspec.DecodeError:
                    return answer.status, None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def _url(self, path: str, query: Mapping[str, str] | None) -> URL:
        below = path if path.startswith("/") else f"{self._connect}/{path}".rstrip("/")
        url = URL(self._base + below, encoded=True)
        return url.update_query(query) if query else url

    def _unreachable(self, error: Exception) -> Stop:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return Stop(
                Exit.UNREACHABLE,
                f"The certificate of {self._base} is not trusted: {error.certificate_error}.",
                "Name the authority that signed it: --ca-cert ca.pem, or HELIOGRAPH_CA_CERT.",
            )
        reason = str(error) or "no answer in time"
        if isinstance(error, aiohttp.ClientConnectorError) and error.errno is not None:
            # aiohttp's own text repeats the address twice and says nothing more.
            reason = os.strerror(error.errno) if error.errno > 0 else str(error.os_error)
        return Stop(
            Exit.UNREACHABLE,
            f"The server at {self._base} cannot be reached: {reason}.",
            "Is it running? `heliograph serve` starts it, `heliograph doctor` looks at it.",
        )

    def _checked(self, answer: Answer) -> Answer:
        if 200 <= answer.status <= 299:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: Answer) -> Stop:
        try:
            details = msgspec.json.decode(answer.body)
            code, message = str(details["errorCode"]), str(details["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return Stop(
                Exit.REFUSED,
                f"{self._base} answered {answer.status} in a form that is not Heliograph's.",
                "Is this the right address?",
            )
        if answer.status == 503:
            return Stop(Exit.UNREACHABLE, f"The server cannot take the call now: {message}")
        steps = ["Is the token of this server?"] if answer.status == 401 else []
        if code == "USER_LACKS_PERMISSIONS":
            steps = [f"Give an administrator's token with --token or {ACCESS_TOKEN}."]
        return Stop(Exit.REFUSED, f"{message} ({code})", *steps)


def _trust(credentials: Credentials) -> ssl.SSLContext | bool:
    """What aiohttp is to check a server's certificate with."""
    if not credentials.base_uri.startswith("https:") or credentials.ca_cert is None:
        return True
    try:
        return ssl.create_default_context(cafile=credentials.ca_cert)
    except ssl.SSLError:
        raise wrong(f"{credentials.ca_cert} holds no certificate authority in PEM.") from None
    except OSError as error:
        raise wrong(f"{credentials.ca_cert} cannot be read: {error.strerror}.") from None


def segment(text: str) -> str:
    """One part of a path."""
    return quote(text, safe="")


async def _lines_of(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; aiohttp's own line reader has a limit."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


def _asked_to_wait(number: int, answer: Answer) -> float | None:
    """Seconds after which the same call may be taken; None where it makes no sense to wait."""
    retry_after = answer.headers.get("Retry-After", "")
    if answer.status == 429 and retry_after.isdigit() and int(retry_after) <= _LONGEST_BURST:
        return float(retry_after)
    return _pause(number, retry_after) if answer.status == 503 else None


def _pause(number: int, retry_after: str | None) -> float:
    wait = float(retry_after) if retry_after and retry_after.isdigit() else 0.25 * 2.0**number
    return min(wait, _LONGEST_PAUSE)


def _clean(base_uri: str) -> str:
    text = base_uri.rstrip("/").removesuffix("/restapi")
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or "@" in text:
        raise wrong(
            "--base-uri must be like http://127.0.0.1:8080, without user name and password."
        )
    return text
