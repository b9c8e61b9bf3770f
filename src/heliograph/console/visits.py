"""What a page is asked for, by whom, and what it answers with."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from heliograph.console.calls import Answer, Calls, account_path
from heliograph.model.accounts import Principal, Role


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is signed in.

    `query` and `form` hold no empty values; `chosen` what a form gives several times: `ids`.
    `at` is the path below the console's root, `root` the way from there back to it, so that pages
    work behind whatever path a proxy puts before them.
    """

    principal: Principal
    calls: Calls
    session: str
    address: str
    at: str
    root: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    chosen: Sequence[str] = ()

    @property
    def may_change(self) -> bool:
        return self.principal.role is Role.ADMINISTRATOR

    @property
    def form_token(self) -> str:
        """What every form carries: other sites cannot read the cookie that it is made of."""
        return hashlib.sha256(b"console form\0" + self.session.encode()).hexdigest()

    def is_own_form(self, token: str) -> bool:
        """Whether a form is one of this session's pages."""
        given = token.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self.form_token.encode())

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Call the API; the path is one below the account's `connect`, or, where it begins with a
        slash, the account. Raises ProblemOfCall."""
        whole = account_path(self.principal, path)
        return await self.calls.call(self.principal, method, whole, query or {}, body, self.address)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON of a call that reads. Raises ProblemOfCall."""
        return (await self.call("GET", path, query)).value


@dataclass(frozen=True, slots=True)
class Same:
    """The call and the command that give what a page shows."""

    method: str
    path: str
    command: str

    @classmethod
    def of(
        cls,
        visit: Visit,
        path: str,
        command: str,
        query: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Same:
        """`path` and `query` as `Visit.call` takes them."""
        asked = f"?{urlencode(query)}" if query else ""
        return cls(method, f"/restapi/v2.1{account_path(visit.principal, path)}{asked}", command)


@dataclass(frozen=True, slots=True)
class Page:
    """A template and what it shows."""

    template: str
    title: str
    values: Mapping[str, Any]
    same: Sequence[Same] = ()
    status: int = 200


@dataclass(frozen=True, slots=True)
class GoTo:
    """Another page, below the root; `note` is what was done."""

    at: str
    note: str = ""


Show = Callable[[Visit], Awaitable[Page | GoTo]]


@dataclass(frozen=True, slots=True)
class Place:
    """A path below the root, and what is there: to look at, and to post a form to."""

    path: str
    show: Show | None = None
    post: Show | None = None
