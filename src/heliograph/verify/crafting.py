"""The messages of the kit: envelopes that there are nowhere, told, signed and mistreated. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import heliograph
from heliograph.model.accounts import Secret
from heliograph.verify.plays import Need, Post
from heliograph.wire import docusign
from heliograph.wire.messages import signing
from heliograph.wire.samples.envelope import Scene
from heliograph.wire.samples.messages import sample, story
from heliograph.wire.samples.posts import ACCOUNT, NUMBERS, Wish, written

STRANGER: Final = Secret("a key that no listener was ever given")
"""Signs what must be refused."""

_URL: Final = "https://listener.example.com/"
_HEADERS: Final = (
    ("User-Agent", f"Heliograph/{heliograph.__version__}"),
    ("Accept", "*/*"),
    ("X-DocuSign-AccountId", ACCOUNT),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is sent: posts `at_once`, other messages `an_hour` between retries, bytes of a
    `document`, seconds of a `slow` post."""

    at_once: int = 200
    an_hour: int = 10
    document: int = 22_500_000
    slow: float = 6.0


@dataclass(frozen=True, slots=True)
class World:
    """What is known of the listener: its keys, the formats it takes, an event that it acts on.

    `now` (UTC) is when the messages were generated, unless a check says otherwise.
    """

    now: datetime
    key: Secret | None
    second_key: Secret | None = None
    formats: Sequence[str] = ("json",)
    event: str = "envelope-completed"
    scale: Scale = Scale()

    @property
    def form(self) -> str:
        """The format that is sent where none is meant."""
        return self.formats[0]

    @property
    def xml(self) -> str:
        """The one of both that is sent where XML is meant."""
        return next(form for form in self.formats if form in ("xml", "soap"))

    def lacks(self, need: Need) -> bool:
        """Whether it has not what a check needs, but for a probe."""
        match need:
            case Need.KEY:
                return self.key is None
            case Need.SECOND_KEY:
                return self.second_key is None
            case Need.JSON:
                return "json" not in self.formats
            case Need.AGGREGATE:
                return "aggregate" not in self.formats
            case Need.XML:
                return not {"xml", "soap"} & set(self.formats)
            case Need.PLAIN_XML:
                return "xml" not in self.formats
            case Need.SOAP:
                return "soap" not in self.formats
            case Need.PROBE:
                return False

    def message(
        self,
        event: str | None = None,
        *,
        at: datetime | None = None,
        documents: int | None = None,
        retry: int = 0,
    ) -> dict[str, Any]:
        """What a message of another envelope says, as JSON SIM has it."""
        told = sample(event or self.event, _scene(documents), at or self.now)
        return {**told, **NUMBERS, "retryCount": retry}

    def story(self) -> list[dict[str, Any]]:
        """All messages about an envelope that two sign, in DocuSign's order."""
        return [{**told, **NUMBERS} for told in story("signing-of-two", _scene(None), self.now)]

    def unsigned(
        self,
        message: Mapping[str, Any],
        form: str | None = None,
        *,
        documents: bool = False,
        include: Collection[str] | None = None,
    ) -> Post:
        """A message as it is posted in a format, without signatures."""
        made = written(message, Wish(_URL, form or self.form, documents, include))
        return Post((*made.headers, *_HEADERS), made.body)

    def signed(self, post: Post, *keys: Secret | None, about: str = "") -> Post:
        """The post with the signature of each key, else of the listener's, if it has one."""
        given = keys or (self.key,)
        values = [signing.signature(key, post.body) for key in given if key is not None]
        return with_signatures(post, *values, about=about)

    def post(self) -> Post:
        """A right message of another envelope, signed."""
        return self.signed(self.unsigned(self.message()))

    def told(self, message: Mapping[str, Any], *, about: str = "") -> Post:
        """A message in JSON, signed."""
        return self.signed(self.unsigned(message, "json"), about=about)

    def retried(self, message: Mapping[str, Any], retry: int) -> Post:
        """A message as it is sent for the `retry`-th time; 0 is the first."""
        return self.told({**message, "retryCount": retry}, about=f"retryCount {retry}")

    def right(self, post: Post) -> str:
        """The signature that the post should have."""
        if self.key is None:
            raise ValueError("a listener without a key has no right signature")
        return signing.signature(self.key, post.body)


def with_signatures(post: Post, *values: str, about: str = "") -> Post:
    """The post with these texts as signatures, whatever they are."""
    headers = [(f"X-DocuSign-Signature-{number}", value) for number, value in enumerate(values, 1)]
    marked = [signing.DIGEST_HEADER, *headers] if headers else []
    return Post((*post.headers, *marked), post.body, about or post.about)


def with_body(post: Post, body: bytes) -> Post:
    """The post with another body, whatever its signatures say."""
    return Post(post.headers, body, post.about)


def lowercase(post: Post) -> Post:
    """The post as proxies hand it on that speak HTTP/2: names of headers in small letters."""
    return Post(tuple((name.lower(), value) for name, value in post.headers), post.body, post.about)


def every_event() -> Sequence[str]:
    """The names of all of DocuSign's events."""
    return sorted(docusign.EVENTS)


def _scene(documents: int | None) -> Scene:
    return Scene(str(uuid.uuid4()), ACCOUNT, documents=documents)
