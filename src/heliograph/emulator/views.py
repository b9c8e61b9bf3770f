"""One-time addresses of the signing page, and who they let act as which recipient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from heliograph.emulator.envelope import Envelope
from heliograph.errors import InvalidParameter, UnknownRecipient
from heliograph.model.tokens import new_token

_TO_OPEN: Final = timedelta(minutes=5)
"""For which an address can be opened (DocuSign: five minutes, once)."""

_TO_ACT: Final = timedelta(minutes=20)
"""For which an opened page can be used."""

_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class View:
    """Who may act as which recipient of an envelope, until when (UTC), and where to go then.

    `opened` tells whether it is of a page that is shown, or of an address that leads to one.
    """

    account_id: str
    envelope_id: str
    recipient_id: str
    return_url: str
    until: datetime
    opened: bool = False

    def back(self, event: str) -> str:
        """The return URL with what has happened."""
        parts = urlsplit(self.return_url)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("event", event)])
        return urlunsplit(parts._replace(query=query))


class Views:
    """Those that are open now, by their tokens; a token is good for one use."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}
        self._spent: dict[str, View] = {}

    def add(
        self, account_id: str, envelope_id: str, recipient_id: str, url: str, now: datetime
    ) -> str:
        """The token of a new address."""
        return self._add(View(account_id, envelope_id, recipient_id, url, now + _TO_OPEN))

    def open(self, token: str, now: datetime) -> tuple[View, str] | None:
        """Use an address up: its view, and the token of the page that it shows. None for one that
        is none, was used or is too old."""
        view = self._take(token, now, opened=False)
        if view is None:
            return None
        page = View(
            view.account_id,
            view.envelope_id,
            view.recipient_id,
            view.return_url,
            now + _TO_ACT,
            opened=True,
        )
        return page, self._add(page)

    def act(self, token: str, now: datetime) -> View | None:
        """Use a page's token up."""
        return self._take(token, now, opened=True)

    def spent(self, token: str) -> View | None:
        """What a token was good for that is so no more."""
        return self._spent.get(token)

    def reset(self, account_id: str) -> None:
        """No token of an account is good for anything any more."""
        for views in (self._views, self._spent):
            for token in [one for one, view in views.items() if view.account_id == account_id]:
                del views[token]

    def _add(self, view: View) -> str:
        token = new_token().reveal()
        _bounded(self._views)[token] = view
        return token

    def _take(self, token: str, now: datetime, *, opened: bool) -> View | None:
        view = self._views.get(token)
        if view is None or view.opened is not opened:
            return None
        del self._views[token]
        _bounded(self._spent)[token] = view
        return view if now < view.until else None


def _bounded(views: dict[str, View]) -> dict[str, View]:
    while len(views) >= _MOST:
        del views[next(iter(views))]
    return views


def check_url(text: str) -> str:
    """A URL that a browser may be sent to. Raises InvalidParameter."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or not text.isascii() or len(text) > 2000:
        raise InvalidParameter("returnUrl must be an http or https URL.")
    return text


def wanted(envelope: Envelope, request: Mapping[str, Any]) -> dict[str, Any]:
    """The recipient that a recipientViewRequest means.

    Raises:
        UnknownRecipient: the envelope has none of that name, e-mail and clientUserId, or it is one
            who is not embedded (has no clientUserId).
    """
    for _, recipient in envelope.recipients():
        if recipient.get("clientUserId", "") != request.get("clientUserId", ""):
            continue
        if request.get("recipientId") in (recipient["recipientId"], recipient["recipientIdGuid"]):
            return recipient
        names = (recipient.get("name"), recipient.get("signerName"), recipient.get("hostName"))
        emails = (recipient.get("email"), recipient.get("hostEmail"))
        email = str(request.get("email", "")).lower()
        if request.get("userName") in names and email in (str(one).lower() for one in emails):
            return recipient
        if request.get("userId") == recipient["userId"]:
            return recipient
    raise UnknownRecipient(
        "The recipient you have identified is not a valid recipient of the specified envelope."
    )
