"""The signing page: one recipient signs, declines, or finishes later, and is sent back.

Whoever has its address may act, so it is good once, and for minutes. Text of envelopes is only
ever text (S10): templates escape it, and no script runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from heliograph.api.contract.endpoint import Endpoint, Refusal, api_error, mark
from heliograph.api.contract.operation import read_body
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.api.contract.routing import Route
from heliograph.clock import Clock
from heliograph.emulator.course import Course
from heliograph.emulator.desk import Desk
from heliograph.emulator.envelope import Envelope
from heliograph.emulator.views import View, Views
from heliograph.errors import (
    ApiError,
    EnvelopeStatusRefused,
    InvalidParameter,
    MethodNotAllowed,
    RecipientOutOfSequence,
    UnknownRecipient,
)
from heliograph.plain import harmless_lines
from heliograph.watch import Observer

PATH: Final = "/emulator/signing"

_FORM_BYTES: Final = 256 * 1024
_MOST_FIELDS: Final = 500
_EVENTS: Final[Mapping[str, str]] = {
    "sign": "signing_complete",
    "decline": "decline",
    "later": "cancel",
}
"""What each button does, as the return URL is told of it (DocuSign: recipient view)."""


def _harmless(value: object) -> object:
    return harmless_lines(value) if type(value) is str else value


_PAGES: Final = Environment(
    loader=PackageLoader("heliograph.emulator", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_harmless,
)


class Signing:
    """The pages below /emulator/signing."""

    def __init__(self, desk: Desk, views: Views, clock: Clock, observer: Observer) -> None:
        self._desk = desk
        self._views = views
        self._clock = clock
        self._observer = observer

    def routes(self) -> Sequence[Route]:
        """The routes of the page, and of what it posts to."""
        return [
            self._route(f"{PATH}/{{token}}", self._show),
            self._route(PATH, self._act),
        ]

    def _route(self, path: str, answer: Any) -> Route:
        return Route(path, Endpoint(lambda _: "signing", answer, _refuse, self._observer, {}))

    def _now(self) -> datetime:
        return self._clock.now()

    async def _show(self, request: Request) -> Response:
        # HEAD would use the address up for nobody.
        if request.scope["method"] != "GET":
            raise MethodNotAllowed(["GET"])
        token = request.parameters["token"]
        opened = self._views.open(token, self._now())
        if opened is None:
            return self._expired(token)
        view, page = opened

        def look(course: Course) -> dict[str, Any]:
            recipient = _recipient(course, view)
            course.view(recipient)
            return recipient

        try:
            envelope, recipient = await self._desk.act(view.account_id, view.envelope_id, look)
        except (EnvelopeStatusRefused, RecipientOutOfSequence):
            return self._see(view.back("viewing_complete"))
        return _html("signing.html", _shown(envelope, recipient, page), 200, view.return_url)

    async def _act(self, request: Request) -> Response:
        if request.method != "POST":
            raise MethodNotAllowed(["POST"])
        if request.header("sec-fetch-site") not in (None, "same-origin"):
            raise InvalidParameter("This form belongs to another site.")
        raw = await read_body(request, _FORM_BYTES)
        try:
            form = dict(parse_qsl(raw.decode(), max_num_fields=_MOST_FIELDS))
        except ValueError:
            raise InvalidParameter("The form cannot be read.") from None
        action = form.get("action", "")
        if action not in _EVENTS:
            raise InvalidParameter(f"action must be one of {', '.join(_EVENTS)}.")
        token = form.get("page", "")
        view = self._views.act(token, self._now())
        if view is None:
            return self._expired(token)
        values = {
            name.removeprefix("tab-"): value
            for name, value in form.items()
            if name.startswith("tab-")
        }

        def decide(course: Course) -> None:
            recipient = _recipient(course, view)
            if action == "sign":
                course.complete(recipient, values)
            elif action == "decline":
                course.decline(recipient, form.get("reason", ""))
            else:
                course.finish_later(recipient)

        try:
            await self._desk.act(view.account_id, view.envelope_id, decide)
        except (EnvelopeStatusRefused, RecipientOutOfSequence):  # voided, or signed, meanwhile
            return self._see(view.back("exception"))
        return self._see(view.back(_EVENTS[action]))

    def _expired(self, token: str) -> Response:
        """Who comes too late, or again, goes back (DocuSign: ttl_expired); who never had an
        address of ours goes nowhere."""
        view = self._views.spent(token)
        if view is not None:
            return self._see(view.back("ttl_expired"))
        return _ended("There is nothing to sign here", "Ask for a new recipient view.", 404)

    def _see(self, url: str) -> Response:
        return Response(b"", 303, {"location": url, "cache-control": "no-store"})


def _recipient(course: Course, view: View) -> dict[str, Any]:
    found = course.envelope.recipient(view.recipient_id)
    if found is None:
        raise UnknownRecipient("The envelope has no such recipient any more.")
    return found


def _shown(envelope: Envelope, recipient: Mapping[str, Any], page: str) -> dict[str, Any]:
    summary = envelope.summary
    return {
        "subject": summary["emailSubject"],
        "blurb": summary.get("emailBlurb", ""),
        "sender": summary["sender"]["userName"],
        "name": recipient.get("name", ""),
        "documents": [one["name"] for one in summary["envelopeDocuments"]],
        "page": page,
        "tabs": [
            {
                "id": tab["tabId"],
                "label": tab.get("tabLabel") or "Text",
                "value": tab.get("value", ""),
            }
            for tab in recipient["tabs"].get("textTabs", ())
        ],
    }


def _ended(title: str, message: str, status: int) -> Response:
    return _html("ended.html", {"title": title, "message": message}, status)


def _html(template: str, values: Mapping[str, Any], status: int, return_url: str = "") -> Response:
    # Browsers hold form-action against the redirect that follows a form, too.
    parts = urlsplit(return_url)
    target = f" {parts.scheme}://{parts.netloc}" if _is_plain(parts.netloc) else ""
    return Response(
        _PAGES.get_template(template).render(values).encode("utf-8", "replace"),
        status,
        {
            "cache-control": "no-store",
            "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action 'self'{target}",
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
        },
        "text/html",
    )


def _is_plain(host: str) -> bool:
    """Whether a host means nothing else in a policy."""
    return bool(host) and all(one.isalnum() or one in ".-:[]" for one in host)


def _refuse(request: Request, problem: Exception) -> Refusal:
    error: ApiError = api_error(request, problem)
    response = _ended("This cannot be done", error.message, error.status)
    mark(response, error.status, error.retry_after, error)
    return Refusal(error.code, response)
