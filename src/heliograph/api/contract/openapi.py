"""The OpenAPI 3.1 document, made from the list of operations that the routes are made from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import heliograph
from heliograph.api.contract import rate_limits
from heliograph.api.contract.oauth_paths import AUTHORIZE, TOKEN
from heliograph.api.contract.operation import FOLLOWED, LINES, Operation
from heliograph.api.contract.parameters import LARGEST_ID, Parameter
from heliograph.errors import (
    ApiError,
    BodyTooLarge,
    BurstLimitExceeded,
    HeadTooLarge,
    HourlyLimitExceeded,
    InvalidBody,
    InvalidContentType,
    InvalidParameter,
    InvalidToken,
    LacksPermission,
    MalformedRequest,
    NotAcceptable,
    NotFound,
    NotSignedIn,
    RequestTimedOut,
    TargetTooLong,
    TooManyAttempts,
    TooManyRefused,
    Unavailable,
    Unspecified,
    VersionNotSupported,
    WrongCredentials,
)
from heliograph.model.accounts import Role
from heliograph.model.applications import SCOPES_ABOUT, SIGNATURE
from heliograph.wire.codec import OURS
from heliograph.wire.media_types import JSON, TEXT_XML, XML
from heliograph.wire.rest import ErrorDetails
from heliograph.wire.schemas import Schema, components, reference

BASE: Final = "/restapi"
"""The server of the document: where the SDKs' base path leads."""

_SCHEME: Final = "accessToken"
_OAUTH: Final = "oauth"

_ROW: Final = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
_TEXT: Final = {"type": "string", "minLength": 1}

PATH_PARAMETERS: Final[Mapping[str, tuple[str, Schema]]] = {
    "accountId": ("The account: its GUID, or its external number.", _TEXT),
    "connectId": ("The configuration's number.", _ROW),
    "deliveryId": ("The delivery's number.", _ROW),
    "envelopeId": ("The envelope.", _TEXT),
    "eventId": ("The event's id.", _TEXT),
    "failureId": ("The failure's number.", _ROW),
    "groupId": ("The group's number.", _ROW),
    "incidentId": ("The incident's number.", _ROW),
    "integrationKey": ("The application: a GUID.", _TEXT),
    "jobId": ("The republish job's number.", _ROW),
    "keyId": ("The id of a key.", _TEXT),
    "logId": ("The log entry's number.", _ROW),
    "relayName": ("The relay's name.", _TEXT),
    "secretId": ("The id of a secret, which is not its text.", _TEXT),
    "tokenId": ("The token's id, which is not its text.", _TEXT),
    "transactionId": ("The historical publish.", _TEXT),
    "userId": ("The user: a GUID.", _TEXT),
}

_BEFORE_COUNTING: Final[Sequence[type[ApiError]]] = (
    MalformedRequest,
    NotSignedIn,
    InvalidToken,
    WrongCredentials,
    NotAcceptable,
    RequestTimedOut,
    TargetTooLong,
    TooManyAttempts,
    TooManyRefused,
    HeadTooLarge,
    VersionNotSupported,
)
"""What is refused before it is known whose limits the call counts against."""

_ALWAYS: Final[Sequence[type[ApiError]]] = (
    *_BEFORE_COUNTING,
    InvalidParameter,
    Unspecified,
    Unavailable,
)
_METERED: Final[Sequence[type[ApiError]]] = (HourlyLimitExceeded, BurstLimitExceeded)
_WITH_BODY: Final[Sequence[type[ApiError]]] = (InvalidBody, BodyTooLarge, InvalidContentType)


_LINK: Final = "Link"
_RETRY_AFTER: Final = "Retry-After"
_CHALLENGE: Final = "WWW-Authenticate"
_HEADERS: Final[Mapping[str, Schema]] = {
    _LINK: {
        "description": "Where the next page is (RFC 8288), when there is more.",
        "schema": {"type": "string"},
    },
    _RETRY_AFTER: {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    _CHALLENGE: {
        "description": "How to sign in (RFC 9110, 11.6.1).",
        "schema": {"type": "string", "const": "Bearer"},
    },
    **{
        name: {"description": about, "schema": {"type": "integer"}}
        for name, about in rate_limits.ABOUT.items()
    },
}


def document(
    operations: Iterable[Operation], base_uri: str, *, v2: bool = False
) -> Mapping[str, Any]:
    """The document of version 2.1, or of version 2, of the API; `base_uri` is the server's."""
    chosen = [operation for operation in operations if operation.v2] if v2 else list(operations)
    version = "v2" if v2 else "v2.1"
    paths: dict[str, dict[str, Schema]] = {}
    for operation in chosen:
        here = paths.setdefault(f"/{version}{plain_path(operation)}", {})
        here[operation.method.lower()] = _operation(operation)
    used = {
        shape
        for operation in chosen
        for shape in (operation.body, operation.answer)
        if shape is not None
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Heliograph, the Connect REST API {version}",
            "version": heliograph.__version__,
            "summary": "Publishes envelope events to listeners, and keeps a complete failure log.",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": BASE}],
        "security": [{_SCHEME: []}, {_OAUTH: [SIGNATURE]}],
        "tags": [{"name": name} for name in dict.fromkeys(map(tag, chosen))],
        "paths": paths,
        "components": {
            "schemas": components({*used, ErrorDetails}, v2=v2),
            "headers": _HEADERS,
            "securitySchemes": {
                _SCHEME: {"type": "http", "scheme": "bearer"},
                _OAUTH: _oauth(base_uri),
            },
        },
    }


def _oauth(base_uri: str) -> Schema:
    """The authorization code grant; OpenAPI has no word for assertions (docs: oauth.md).

    OpenAPI 3.1 takes whole URLs here, unlike the servers'.
    """
    return {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": base_uri + AUTHORIZE,
                "tokenUrl": base_uri + TOKEN,
                "refreshUrl": base_uri + TOKEN,
                "scopes": dict(SCOPES_ABOUT),
            }
        },
    }


_ABOUT: Final = (
    "Every scalar is text. A JSON number or boolean is read as its text, null as if it were not "
    "there, and fields that are not listed are ignored. Parameters that are not listed are ignored "
    "by a call that reads, and refused by one that changes something. A list of texts may also be "
    f"given as text with commas between. What has {OURS} is Heliograph's own and not DocuSign's."
)


def plain_path(operation: Operation) -> str:
    """The path with parameters as OpenAPI writes them."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", operation.path)


def takes_body(call: Mapping[str, Any]) -> bool:
    """Whether an operation, as the document has it, takes a body."""
    return "requestBody" in call


def tag(operation: Operation) -> str:
    """What the operation is about: the second part after the account, where it is a fixed one."""
    parts = operation.path.split("/")[1:]
    about = [part for part in parts[2:4] if "{" not in part] or parts
    return about[-1] if about[0] == "connect" else about[0]


def errors_of(operation: Operation) -> Mapping[int, Sequence[type[ApiError]]]:
    """The errors that a call may be answered with, by HTTP status."""
    errors = [*_ALWAYS, *operation.errors]
    if operation.metered:
        errors += _METERED
    if operation.role is Role.ADMINISTRATOR:
        errors.append(LacksPermission)
    if "{" in operation.path:
        errors.append(NotFound)
    if operation.body is not None or operation.raw_types:
        errors += _WITH_BODY
    statuses = sorted({error.status for error in errors})
    return {status: [error for error in errors if error.status == status] for status in statuses}


def _operation(operation: Operation) -> Schema:
    schema: Schema = {
        "operationId": operation.operation_id,
        "tags": [tag(operation)],
        "summary": operation.summary,
        "parameters": [
            *map(_in_path, re.findall(r"\{(\w+)\}", plain_path(operation))),
            *(_parameter(parameter, "query") for parameter in operation.query),
            *(_parameter(parameter, "header") for parameter in operation.headers),
        ],
    }
    if operation.role is Role.VIEWER:
        schema["description"] = "A viewer's token will do."
    if operation.lasting:
        schema["description"] = "Takes a token that has no end and that no application brought."
    if operation.body is not None:
        shape = reference(operation.body)
        schema["requestBody"] = {
            "required": True,
            "content": {form: {"schema": shape} for form in (JSON, XML, TEXT_XML)},
        }
    if operation.raw_types:
        schema["requestBody"] = {
            "required": True,
            "content": {form: {"schema": _raw(operation, form)} for form in operation.raw_types},
        }
    schema["responses"] = _responses(operation)
    if operation.extension:
        schema[OURS] = True
    return schema


def _raw(operation: Operation, form: str) -> Schema:
    if form == JSON:
        return dict(operation.raw_schema)
    return {"type": "string", "description": "The same, one object to a line."}


def _in_path(name: str) -> Schema:
    about, schema = PATH_PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


def _parameter(parameter: Parameter[Any], place: str) -> Schema:
    schema: Schema = {
        "name": parameter.name,
        "in": place,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }
    if parameter.example is not None:
        schema["example"] = parameter.example
    if parameter.extension:
        schema[OURS] = True
    return schema


def _responses(operation: Operation) -> Schema:
    success: Schema = {"description": "Done." if operation.answer is None else "The answer."}
    if operation.answer is not None:
        success["content"] = _forms(reference(operation.answer))
    standing = tuple(rate_limits.ABOUT) if operation.metered else ()
    named = [*standing, *((_LINK,) if operation.lines else ())]
    if operation.lines:
        success["content"][LINES] = {"schema": {"type": "string"}}
    if operation.followed:
        success["content"][FOLLOWED] = {"schema": {"type": "string"}}
    responses = {str(operation.status): success | _headers(named)}
    for status, errors in errors_of(operation).items():
        codes = dict.fromkeys(f"{error.code}: {error.advice}" for error in errors)
        named = [
            *([_CHALLENGE] if status == 401 else ()),
            *([_RETRY_AFTER] if any(error.retry_after is not None for error in errors) else ()),
            *(standing if any(error not in _BEFORE_COUNTING for error in errors) else ()),
        ]
        responses[str(status)] = {
            "description": " ".join(codes),
            "content": _forms(reference(ErrorDetails)),
            **_headers(named),
        }
    return responses


def _headers(names: Sequence[str]) -> Schema:
    shown = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {"headers": shown} if shown else {}


def _forms(schema: Schema) -> Schema:
    return {form: {"schema": schema} for form in (JSON, XML, TEXT_XML)}
