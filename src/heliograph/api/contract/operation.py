"""The contract layer: an operation, a call of it, and how both meet JSON, XML and HTTP.

One `Operation` says everything about a call of the API; the routes are made from the list of
them. Errors have one shape on every route: errorDetails, in the form the caller accepts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from heliograph.access.limits import UNLIMITED, CallLimits
from heliograph.api.contract import parameters, rate_limits
from heliograph.api.contract.endpoint import (
    Endpoint,
    Refusal,
    Respond,
    api_error,
    mark,
    only,
)
from heliograph.api.contract.parameters import Parameter
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.api.contract.routing import SLASH, Route, Routes
from heliograph.aside import RECORD, aside
from heliograph.errors import (
    ApiError,
    BodyTooLarge,
    CodedBody,
    InvalidBody,
    InvalidContentType,
    InvalidParameter,
    LacksPermission,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
)
from heliograph.model.accounts import Principal, Role
from heliograph.model.audit import actor_of
from heliograph.store.audit import acting
from heliograph.watch import UNWATCHED, Observer
from heliograph.wire.codec import MOST_NODES, decode_json, decode_xml, encode_json, encode_xml
from heliograph.wire.media_types import (
    EXTENDED_XML,
    FORMS,
    JSON,
    XML,
    XML_TYPES,
    choose,
    error_body,
    is_xml,
)
from heliograph.wire.version2 import as_v2

LINES: Final = "application/x-ndjson"
FOLLOWED: Final = "text/event-stream"

PREFIXES: Final = ("/restapi/v2.1", "/v2.1")
"""Where every operation is found: the SDK's base path ends in /restapi, and the page's
paths, as also our URIs, go without."""

V2_PREFIXES: Final = ("/restapi/v2", "/v2")
"""Where the operations that DocuSign's version 2 had are found as well."""

SMALL_BODY: Final = 2**20
"""Bytes: the largest body of an operation that says nothing else (S13)."""

_HEADERS: Final = {"cache-control": "no-store"}

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Who makes a call; raises an ApiError for who may not."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, after its token, account, path and body were checked.

    `body` is of the operation's body type; `raw` is the body where the operation reads it
    itself. `query` and `headers` hold the parameters that the operation lists, under the
    names that it gives them, and no others. `content_type_line` is the header with its parameters.
    """

    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    accept: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes
    content_type: str
    url_path: str
    v2: bool
    still_may: Callable[[], Awaitable[None]]
    """Raises an ApiError where a call that lasts may not be made any more."""
    content_type_line: str = JSON

    @property
    def account_id(self) -> str:
        return self.principal.account.account_id


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with headers beside its value."""

    value: msgspec.Struct
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[msgspec.Struct | Reply | Response | None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    `body` is the struct that its body is read into, None for no body; `raw_types` are the
    content types of a body that the handler reads itself, `raw_schema` the schema of its JSON.
    `lines` tells that the answer may be asked for as NDJSON, `followed` that it may as events that
    go on, and `media` what else its handler may answer with by itself. A token of `role`, or of an
    administrator, may call it. What is `lasting` makes something that lets people or programs in,
    or a key, until it is taken back: no credential that ends by itself may call it, or it would
    live on in what it made (S18).
    Only what is `metered` counts towards the limits of calls.

    What follows is also what the OpenAPI document says: `summary` is one plain sentence,
    `answer` the struct of a success (None: an empty body), `query` and `headers` the
    parameters that it reads, and no others reach it; `errors` the errors that are its own,
    beside those of every call of its kind. `extension` tells that DocuSign has no such call,
    `v2` that it is found in version 2 too: DocuSign had it there, or what is found there leads
    to it.
    """

    operation_id: str
    method: str
    path: str
    handler: Handler
    status: int = 200
    body: type[msgspec.Struct] | None = None
    raw_types: Sequence[str] = ()
    body_limit: int = SMALL_BODY
    lines: bool = False
    followed: bool = False
    media: Sequence[str] = ()
    role: Role = Role.ADMINISTRATOR
    lasting: bool = False
    metered: bool = True
    summary: str = ""
    answer: type[msgspec.Struct] | None = None
    query: Sequence[Parameter[Any]] = ()
    headers: Sequence[Parameter[Any]] = ()
    errors: Sequence[type[ApiError]] = ()
    raw_schema: Mapping[str, Any] = field(default_factory=dict)
    extension: bool = False
    v2: bool = False

    @property
    def changes(self) -> bool:
        """Whether a call may change something."""
        return self.method != "GET"


def application(
    operations: Iterable[Operation],
    authenticate: Authenticate,
    routes: Sequence[Route],
    observer: Observer = UNWATCHED,
    limits: CallLimits = UNLIMITED,
) -> Routes:
    """The ASGI application of a list of operations and a few plain routes beside them."""

    def endpoint(here: _Operations) -> Endpoint:
        return Endpoint(here.name, here.answer, _refuse, observer, _HEADERS)

    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    api_routes = []
    for path, here in by_path.items():
        deletes_one = any("DELETE" in by_path[other] for other in by_path if _is_item(other, path))
        newest = _Operations(here, authenticate, limits, deletes_one=deletes_one)
        api_routes += [Route(prefix + path, endpoint(newest)) for prefix in PREFIXES]
        # A path that version 2 does not have is taken there too, and not found: else it would
        # be read as another one with a parameter in its place.
        had = {method: operation for method, operation in here.items() if operation.v2}
        older = _Operations(had, authenticate, limits, deletes_one=deletes_one, v2=True)
        api_routes += [Route(prefix + path, endpoint(older)) for prefix in V2_PREFIXES]
    return Routes([*api_routes, *routes], Endpoint(_nameless, _nowhere, _refuse, UNWATCHED, {}))


def page(path: str, show: Respond) -> Route:
    """A path beside the operations: whoever asks is shown the same, and nobody is told of it."""
    answer = only("GET", show, "HEAD")
    return Route(path, Endpoint(_nameless, answer, _refuse, UNWATCHED, {}))


def _nameless(_: Request) -> str:
    return "none"


async def _nowhere(_: Request) -> Response:
    raise NotFound("There is no such resource.")


def _is_item(path: str, of: str) -> bool:
    """Whether a path is that of one of a collection, by its id."""
    rest = path.removeprefix(of)
    return path != of and path.startswith(of) and rest[:2] == "/{" and "/" not in rest[1:]


class _Operations:
    """The operations of one path by their methods, and how a call becomes one of them."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        authenticate: Authenticate,
        limits: CallLimits,
        *,
        deletes_one: bool,
        v2: bool = False,
    ) -> None:
        """`deletes_one` tells that the path and an id behind it is what deletes one of these."""
        self._operations = operations
        self._authenticate = authenticate
        self._limits = limits
        self._deletes_one = deletes_one
        self._v2 = v2

    def name(self, request: Request) -> str:
        """The operation's id, or "none"."""
        operation = self._operations.get(request.method)
        return "none" if operation is None else operation.operation_id

    async def answer(self, request: Request) -> Response:
        """The answer to a call. Raises an ApiError for one that is refused."""
        if not self._operations:
            raise NotFound("Version 2 has no such call: it is found under /v2.1.")
        operation = self._operations.get(request.method)
        if operation is None:
            also = ["HEAD"] if "GET" in self._operations else []
            raise MethodNotAllowed(sorted([*self._operations, *also]))
        accept = _negotiate(request, operation)
        principal = await self._authenticate(request)
        if operation.metered:
            decision = self._limits.call(principal.account.account_id, principal.token_id)
            request.standing = rate_limits.headers(decision.hour, decision.burst)
            if decision.refusal is not None:
                raise decision.refusal
        path = dict(request.parameters)
        named = path.pop("accountId", None)  # not in the paths of accounts themselves
        account = principal.account
        if named and named.lower() not in (account.account_id.lower(), str(account.external_id)):
            raise NotFound(f"There is no account {named} for this token.")
        _check_role(principal, operation)
        if operation.lasting and principal.ends:
            raise LacksPermission(
                "This user lacks sufficient permissions to access this resource: what it makes "
                "would outlive this credential. It takes an administrator's token that has no end "
                "and that no application brought."
            )
        if "\0" in request.path or b"%00" in request.query:
            raise InvalidParameter("A path or a parameter has a NUL character.")
        if operation.method == "DELETE" and self._deletes_one and request.scope.get(SLASH):
            raise InvalidParameter(
                "Nothing was deleted: the path ends in a slash, where the id of one may be missing."
            )
        content_type = _content_type(request)
        raw = b""
        if operation.body is not None or operation.raw_types:
            raw = await read_body(request, operation.body_limit)
        call = Call(
            principal=principal,
            path=path,
            query=parameters.query(
                operation.query, _pairs(request.query), strict=operation.changes
            ),
            accept=accept,
            headers=_listed(operation.headers, request),
            body=await aside(len(raw), lambda: _decode(operation, content_type, raw)),
            raw=raw,
            content_type=content_type,
            url_path=request.scope["raw_path"].decode("ascii"),
            v2=self._v2,
            still_may=lambda: self._check_again(request, operation, account.account_id),
            content_type_line=request.header("content-type") or JSON,
        )
        with acting(actor_of(principal, request.address)):
            result = await operation.handler(call)
        return await aside(_size(result), lambda: _respond(result, operation.status, call))

    async def _check_again(self, request: Request, operation: Operation, account_id: str) -> None:
        principal = await self._authenticate(request)
        _check_role(principal, operation)
        if principal.account.account_id != account_id:
            raise NotFound(f"There is no account {account_id} for this token.")


def _check_role(principal: Principal, operation: Operation) -> None:
    if principal.role not in (operation.role, Role.ADMINISTRATOR):
        raise LacksPermission(
            "This user lacks sufficient permissions to access this resource: it takes an "
            "administrator's token."
        )


def _pairs(query: bytes) -> Sequence[tuple[str, str]]:
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else ()


def _listed(listed: Sequence[Parameter[Any]], request: Request) -> dict[str, str]:
    found = {parameter.name: request.header(parameter.name.lower()) for parameter in listed}
    return {name: value for name, value in found.items() if value is not None}


def _accept(request: Request) -> str:
    return ", ".join(request.every("accept"))


def _negotiate(request: Request, operation: Operation) -> str:
    # The last of equally good ones is JSON: others are for who asks for them.
    asked = [*([FOLLOWED] if operation.followed else ()), *([LINES] if operation.lines else ())]
    offered = [*asked, *operation.media, *FORMS]
    best = choose(_accept(request), offered)
    if best is None:
        forms = [form for form in reversed(offered) if form != EXTENDED_XML]
        raise NotAcceptable(f"This answer comes as {', '.join(forms)}.")
    return best


def _content_type(request: Request) -> str:
    said = request.header("content-type")
    return JSON if said is None else said.partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes. Raises BodyTooLarge, or CodedBody."""
    return b"".join([part async for part in body_parts(request, limit)])


async def body_parts(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, of at most `limit` bytes. Raises BodyTooLarge, or CodedBody."""
    for coding in ",".join(request.every("content-encoding")).lower().split(","):
        if coding.strip() not in ("", "identity"):
            raise CodedBody("The body has a Content-Encoding: send it as it is.")
    declared = request.header("content-length") or ""
    waits = request.header("expect") is not None  # for our 100 Continue: it has sent nothing yet
    if waits and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    size, dropped, more = 0, 0, True
    while more:
        part, more = await request.read()
        if size + len(part) <= limit and not dropped:
            yield part
            size += len(part)
            continue
        # A client that is still sending would see a reset instead of our answer: take some
        # more of its body and forget it.
        dropped += len(part)
        if dropped > limit + SMALL_BODY:
            break
    if dropped:
        raise _too_large(limit)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit} bytes: send less in one call.")


def _decode(operation: Operation, content_type: str, raw: bytes) -> Any:
    if operation.raw_types:
        if content_type not in operation.raw_types:
            raise InvalidContentType(
                f"Content-Type must be one of {', '.join(operation.raw_types)}."
            )
        return None
    if operation.body is None:
        return None
    if content_type == JSON:
        if not raw.strip():
            raise InvalidBody("The call needs a body.")
        # Who may send more bytes may send as many more values.
        most = MOST_NODES * max(1, operation.body_limit // SMALL_BODY)
        return decode_json(raw, operation.body, most)
    if content_type in XML_TYPES:
        return decode_xml(raw, operation.body)
    raise InvalidContentType(f"Content-Type must be {JSON} or {XML}.")


def _size(result: msgspec.Struct | Reply | Response | None) -> int:
    """About what an answer counts as: its longest list."""
    value = result.value if isinstance(result, Reply) else result
    if not isinstance(value, msgspec.Struct):
        return 0
    fields = (getattr(value, name) for name in value.__struct_fields__)
    return RECORD * max((len(one) for one in fields if isinstance(one, list)), default=0)


def _respond(result: msgspec.Struct | Reply | Response | None, status: int, call: Call) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(b"", status)
    reply = result if isinstance(result, Reply) else Reply(result)
    value = as_v2(reply.value) if call.v2 else reply.value
    xml, extended = is_xml(call.accept), call.accept == EXTENDED_XML
    return Response(
        encode_xml(value, extensions=extended) if xml else encode_json(value),
        status,
        reply.headers,
        media_type=call.accept if xml else JSON,
    )


def _refuse(request: Request, problem: Exception) -> Refusal:
    """The error as errorDetails, in XML where the caller accepts that before JSON."""
    error = api_error(request, problem)
    form, body = error_body(error, _accept(request))
    response = Response(body, error.status, _HEADERS, media_type=form)
    if error.status == 401:  # each must say how to sign in (RFC 9110, 15.5.2)
        response.headers["www-authenticate"] = "Bearer"
    mark(response, error.status, error.retry_after, error)
    return Refusal(error.code, response)
