"""The console put together: its paths, who may see them, and how an answer becomes a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, PackageLoader, Undefined

import heliograph
from heliograph.access.sign_in import SignIn
from heliograph.api.contract.endpoint import Endpoint, Refusal, api_error, mark
from heliograph.api.contract.operation import Operation, page, read_body
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.api.contract.routing import SLASH, Route
from heliograph.api.sign_in.callers import Callers
from heliograph.console import (
    account,
    audit,
    failures,
    help_page,
    incidents,
    jobs,
    listeners,
    now,
    posts,
    shown,
)
from heliograph.console.assets import Assets
from heliograph.console.calls import Calls, ProblemOfCall
from heliograph.console.sessions import Sessions
from heliograph.console.visits import GoTo, Page, Place, Visit
from heliograph.errors import ApiError, InvalidBody, LacksPermission, MethodNotAllowed
from heliograph.incoming.address import PublicAddress
from heliograph.model.accounts import Secret
from heliograph.model.applications import ConsoleSession
from heliograph.store import Store
from heliograph.watch import Observer

ROOT: Final = "/console"

_FORM_BYTES: Final = 512 * 1024
_MOST_FIELDS: Final = 2_000

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    # Forms tell their own site who they are; nobody else learns which failure was looked at.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

_NAVIGATION: Final = (
    ("now", "Now"),
    ("incidents", "Incidents"),
    ("failures", "Failures"),
    ("republish", "Republish"),
    ("listeners", "Listeners"),
    ("log", "Log"),
    ("envelopes", "Envelope"),
    ("audit", "Audit"),
    ("settings", "Settings"),
    ("help", "Help"),
)
"""The first part of a path, and what it is called."""


class Console:
    """Everything below /console, and what / says."""

    def __init__(
        self,
        store: Store,
        operations: Sequence[Operation],
        sign_in: SignIn,
        callers: Callers,
        public: PublicAddress,
        observer: Observer,
    ) -> None:
        self._calls = Calls(operations, observer)
        self._sessions = Sessions(store, sign_in, callers, public)
        self._observer = observer
        self._assets = Assets()
        self._pages = Environment(
            loader=PackageLoader("heliograph.console"),
            autoescape=True,
            # The API leaves out what is not there, and so does a page.
            undefined=Undefined,
            finalize=shown.harmless_text,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._pages.filters |= shown.FILTERS
        self._pages.globals |= {"assets": self._assets.paths, "version": heliograph.__version__}

    def routes(self) -> Sequence[Route]:
        """The routes of every page."""
        modules = (now, incidents, failures, jobs, listeners, posts, audit, account, help_page)
        places = [Place("", self._first), *(one for module in modules for one in module.places())]
        return [
            page(f"{ROOT}/static/{{digest}}/{{name}}", self._assets.show),
            self._route("sign-in", self._sign_in),
            self._route("sign-out", self._sign_out),
            *(self._route(place.path, _Signed(self, place).answer) for place in places),
        ]

    def _route(self, path: str, answer: Any) -> Route:
        at = f"{ROOT}/{path}" if path else ROOT
        endpoint = Endpoint(lambda _: "console", answer, self._refuse, self._observer, _HEADERS)
        return Route(at, endpoint)

    async def _first(self, _visit: Visit) -> GoTo:
        return GoTo("now")

    async def _sign_in(self, request: Request) -> Response:
        """The form, and what it posts to: a user's password, or a token."""
        query = dict(parse_qsl(request.query.decode("latin-1")))
        to = query.get("to", "")
        if request.method == "GET":
            return self._sign_in_page(request, to)
        if request.method != "POST":
            raise MethodNotAllowed(["GET", "HEAD", "POST"])
        if self._sessions.is_foreign(request):
            raise _foreign()
        form, _ = await read_form(request)
        name, token = form.get("name", ""), form.get("token", "")
        try:
            session = (
                await self._sessions.by_token(request, Secret(token))
                if token
                else await self._sessions.by_password(
                    request, name, Secret(form.get("password", ""))
                )
            )
        except ApiError as problem:
            response = self._sign_in_page(request, to, name, problem.message, problem.status)
            mark(response, response.status, problem.retry_after, problem)
            return response
        response = _redirect(f"{_root(request)}{_harmless(to)}")
        self._sessions.set_cookie(response, session)
        return response

    def _sign_in_page(
        self, request: Request, to: str, name: str = "", problem: str = "", status: int = 200
    ) -> Response:
        values = {"to": _harmless(to), "name": name, "problem": problem, "root": _root(request)}
        # A browser asks for a password by itself where an answer is 401.
        return self._html("sign_in.html", values, 403 if status == 401 else status)

    async def _sign_out(self, request: Request) -> Response:
        found = await self._sessions.of(request)
        if request.method != "POST":
            raise MethodNotAllowed(["POST"])
        if found is not None:
            session, text = found
            form, _ = await read_form(request)
            visit = self.visit(request, session, text)
            if not visit.is_own_form(form.get("form_token", "")):
                raise _foreign()
            everywhere = form.get("everywhere") == "true"
            await self._sessions.close(session, text, everywhere=everywhere)
        response = _redirect(f"{_root(request)}sign-in")
        self._sessions.set_cookie(response, None)
        return response

    def visit(self, request: Request, session: ConsoleSession, text: str) -> Visit:
        """A request of somebody who is signed in, without its form."""
        query = parse_qsl(request.query.decode("latin-1"))
        return Visit(
            session.principal,
            self._calls,
            text,
            request.address,
            request.path.removeprefix(ROOT).lstrip("/"),
            _root(request),
            request.parameters,
            {name: value.strip() for name, value in query if value.strip()},
        )

    async def signed_in(self, request: Request) -> tuple[ConsoleSession, str] | Response:
        """The session of a request, or the answer to one that has none."""
        found = await self._sessions.of(request)
        if found is not None:
            return found
        root = _root(request)
        if request.header("sec-fetch-site") in ("cross-site", "same-site"):
            # A link elsewhere, in an alert, led here: the browser has not sent the cookie, and does
            # so if this page goes on by itself.
            return self._html("arrived.html", {"root": root, "at": _own(request)})
        if request.header("hx-request") is not None:
            return Response(b"", 403, {"HX-Refresh": "true"})
        return _redirect(f"{root}sign-in?{urlencode({'to': _own(request)})}")

    def answer(self, visit: Visit, shows: Page | GoTo) -> Response:
        """A page as HTML."""
        if isinstance(shows, GoTo):
            note = urlencode({"note": shows.note}) if shows.note else ""
            link = "&" if "?" in shows.at else "?"
            return _redirect(f"{visit.root}{shows.at}{link if note else ''}{note}")
        values = {
            "visit": visit,
            "root": visit.root,
            "here": visit.at.partition("/")[0],
            "navigation": _NAVIGATION,
            "title": shows.title,
            "same": shows.same,
            "note": visit.query.get("note", ""),
            **shows.values,
        }
        return self._html(shows.template, values, shows.status)

    def _html(self, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        html = self._pages.get_template(template).render(values)
        return Response(html.encode("utf-8", "replace"), status, media_type="text/html")

    def _refuse(self, request: Request, problem: Exception) -> Refusal:
        if isinstance(problem, ProblemOfCall):
            status, code, message = problem.status, problem.code, problem.message
        else:
            error = api_error(request, problem)
            status, code, message = error.status, error.code, error.message
        status = 403 if status == 401 else status
        values = {"root": _root(request), "message": message, "code": code, "status": status}
        response = self._html("problem.html", values, status)
        mark(response, status, getattr(problem, "retry_after", None), problem)
        return Refusal(code, response)


class _Signed:
    """One place, for those who are signed in."""

    def __init__(self, console: Console, place: Place) -> None:
        self._console = console
        self._place = place

    async def answer(self, request: Request) -> Response:
        """The page, or what came of its form. Raises ApiError and ProblemOfCall."""
        show = self._place.post if request.method == "POST" else self._place.show
        if show is None or request.method not in ("GET", "POST"):
            raise MethodNotAllowed(["GET", "HEAD"] if self._place.post is None else ["POST"])
        if bool(request.scope.get(SLASH)) != (request.path == ROOT):
            # Links of a page are relative: its address ends as they are counted.
            last = request.path.rpartition("/")[2]
            at = f"../{quote(last, safe='')}" if request.scope.get(SLASH) else f"{last}/"
            return _redirect(f"{at}{'?' if request.query else ''}{request.query.decode('ascii')}")
        found = await self._console.signed_in(request)
        if isinstance(found, Response):
            return found
        visit = self._console.visit(request, *found)
        if request.method == "POST":
            form, chosen = await read_form(request)
            if not visit.is_own_form(form.get("form_token", "")):
                raise _foreign()
            visit = replace(visit, form=form, chosen=chosen)
        return self._console.answer(visit, await show(visit))


async def read_form(request: Request) -> tuple[Mapping[str, str], Sequence[str]]:
    """The fields of a form, without those that are empty, and all its `ids`.

    Raises:
        InvalidBody: it cannot be read.
        BodyTooLarge: it is larger than a page's forms are.
    """
    try:
        pairs = parse_qsl(
            (await read_body(request, _FORM_BYTES)).decode("ascii"),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise InvalidBody("The form cannot be read.") from None
    fields = {name: value.replace("\r\n", "\n") for name, value in pairs if value.strip()}
    return fields, [value for name, value in pairs if name == "ids"]


def _foreign() -> LacksPermission:
    return LacksPermission(
        "This form is not one of your session: it was open too long, or another site has sent it. "
        "Open the page again; nothing was changed."
    )


def _root(request: Request) -> str:
    """The way from a page back to the root of the console, as its browser counts it."""
    depth = request.path.removeprefix(f"{ROOT}/").count("/") if request.path != ROOT else 0
    if request.path != ROOT and request.scope.get(SLASH):
        depth += 1
    return "../" * depth or "./"


def _own(request: Request) -> str:
    """The address of a request, below the root."""
    path = request.scope["raw_path"].decode("ascii").removeprefix(ROOT).lstrip("/")
    return f"{path}{'?' if request.query else ''}{request.query.decode('ascii', 'replace')}"


def _harmless(to: str) -> str:
    """An address below the root, or the root: nobody is sent elsewhere from here."""
    path = to.partition("?")[0]
    parts = path.split("/")
    outside = ":" in path or "\\" in to or not to.isprintable() or to[:1] in ("/", "?")
    return "" if outside or ".." in parts or "" in parts[:-1] else to


def _redirect(to: str) -> Response:
    return Response(b"", 303, {"Location": quote(to, safe=":/%#?=@[]!$&'()*+,;")})


def signpost(*, console: bool) -> Route:
    """What / says: where to go from here. A browser is led to the console, where there is one."""

    async def show(request: Request) -> Response:
        if console and "text/html" in (request.header("accept") or ""):
            return _redirect("console/")
        lines = [f"Heliograph {heliograph.__version__}"]
        lines += ["console/  the console"] if console else []
        lines += ["docs      the API, call by call", "healthz   whether it is alive"]
        return Response("\n".join([*lines, ""]).encode(), media_type="text/plain")

    return page("/", show)
