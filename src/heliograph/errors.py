"""The error tree. Ours are exceptions; a listener's faults are values (`deliveries.Fault`).

    HeliographError
    ├── ApiError                      an answer to a caller: HTTP status + DocuSign error code
    │   ├── InvalidParameter          400 INVALID_REQUEST_PARAMETER
    │   │   └── RefusedUrl            400 INVALID_REQUEST_PARAMETER (the guard's verdict)
    │   ├── InvalidBody               400 INVALID_REQUEST_BODY
    │   ├── InvalidGroupName          400 INVALID_GROUP_NAME: at an item of an answer
    │   ├── InvalidGroupId            400 INVALID_GROUP_ID: at an item of an answer
    │   ├── InvalidUserId             400 INVALID_USERID: at an item of an answer
    │   ├── EnvelopeIncomplete        400 ENVELOPE_IS_INCOMPLETE: the emulator's, as those below
    │   ├── EnvelopeNotVoidable       400 ENVELOPE_CANNOT_VOID_INVALID_STATE
    │   ├── EnvelopeStatusRefused     400 ENVELOPE_INVALID_STATUS
    │   ├── UnknownRecipient          400 UNKNOWN_ENVELOPE_RECIPIENT
    │   ├── RecipientOutOfSequence    400 RECIPIENT_NOT_IN_SEQUENCE
    │   ├── InvalidRecipientEmail     400 INVALID_EMAIL_ADDRESS_FOR_RECIPIENT
    │   ├── NoSuchTemplate            400 TEMPLATE_ID_INVALID
    │   ├── MalformedRequest          400 MALFORMED_REQUEST: no operation saw it
    │   ├── NotSignedIn               401 PARTNER_AUTHENTICATION_FAILED
    │   ├── InvalidToken              401 AUTHORIZATION_INVALID_TOKEN
    │   ├── WrongCredentials          401 USER_AUTHENTICATION_FAILED
    │   ├── LacksPermission           401 USER_LACKS_PERMISSIONS
    │   ├── RelayRefused              401 RELAY_MESSAGE_REFUSED
    │   ├── NotFound                  404 RESOURCE_NOT_FOUND
    │   │   ├── EnvelopeNotFound      404 ENVELOPE_DOES_NOT_EXIST
    │   │   └── NoSuchDocument        404 DOCUMENT_DOES_NOT_EXIST
    │   ├── MethodNotAllowed          405 METHOD_NOT_ALLOWED
    │   ├── NotAcceptable             406 NOT_ACCEPTABLE
    │   ├── RequestTimedOut           408 REQUEST_TIMED_OUT
    │   ├── EventConflict             409 EVENT_ID_CONFLICT
    │   ├── TooManyKeys               409 HMAC_KEY_LIMIT_EXCEEDED
    │   ├── TooManyRepublishJobs      409 REPUBLISH_JOB_LIMIT_EXCEEDED
    │   ├── RepublishJobEnded         409 REPUBLISH_JOB_ENDED
    │   ├── OAuthClientExists         409 CONNECT_OAUTH_ALREADY_EXISTS
    │   ├── RelayExists               409 RELAY_ALREADY_EXISTS
    │   ├── UserExists                409 USER_ALREADY_EXISTS_IN_ACCOUNT
    │   ├── BodyTooLarge              413 REQUEST_ENTITY_TOO_LARGE
    │   ├── TargetTooLong             414 REQUEST_TARGET_TOO_LONG
    │   ├── InvalidContentType        415 INVALID_CONTENT_TYPE
    │   │   └── CodedBody             415 INVALID_CONTENT_TYPE (a Content-Encoding)
    │   ├── TooMuchPublished          429 HOURLY_PUBLISH_LIMIT_EXCEEDED, with Retry-After
    │   ├── TooManyAttempts           429 TOO_MANY_SIGN_INS, with Retry-After
    │   ├── HourlyLimitExceeded       429 HOURLY_APIINVOCATION_LIMIT_EXCEEDED, with Retry-After
    │   ├── BurstLimitExceeded        429 BURST_APIINVOCATION_LIMIT_EXCEEDED, with Retry-After
    │   ├── TooManyFollowers          429 FOLLOWER_LIMIT_EXCEEDED, with Retry-After
    │   ├── TooManyRefused            429 REFUSED_TOKEN_LIMIT_EXCEEDED, with Retry-After
    │   ├── HeadTooLarge              431 REQUEST_HEAD_TOO_LARGE
    │   ├── Unspecified               500 UNSPECIFIED_ERROR: a bug of ours
    │   ├── Unavailable               503 SERVICE_UNAVAILABLE, with Retry-After
    │   ├── VersionNotSupported       505 HTTP_VERSION_NOT_SUPPORTED
    │   └── LoopDetected              508 LOOP_DETECTED
    ├── OAuthRefused                  an answer of /oauth: HTTP status + `error` (RFC 6749, 5.2)
    ├── ConfigurationsChanged         internal: match again and repeat the accept
    ├── Unrenderable                  internal: the message of an event cannot be made
    ├── ClockDoubted                  what deletes by age waits: the clock is not believed (R22)
    ├── UnusableSetting               a command, or a start, is refused; no text of it is repeated
    ├── StorageUnavailable            disk full, database locked: nothing was written, try later
    ├── StorageBroken                 an I/O error: the process must end (R11, F12)
    └── UnsafeStorage                 start refused; says how to mend it (R18, R20)

Each says what its caller can do next, and whether its code is DocuSign's or ours;
docs/reference/errors.md and the OpenAPI document are made of that (`answers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class HeliographError(Exception):
    """The root of every error that Heliograph raises on purpose."""


class ApiError(HeliographError):
    """An error that a caller is told of, as errorDetails with `code` and the message."""

    status: ClassVar[int]
    code: ClassVar[str]
    advice: ClassVar[str] = ""
    """What the caller can do about it."""
    docusign: ClassVar[bool] = False
    """Whether the code is one of DocuSign's; else it is ours."""
    retry_after: int | None = None
    """Seconds for a Retry-After header, where waiting helps."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        """`retry_after` of None stands for what the class says."""
        super().__init__(message)
        self.message = message
        if retry_after is not None:
            self.retry_after = retry_after


class InvalidParameter(ApiError):
    """A path, query or field value that cannot be used."""

    status = 400
    code = "INVALID_REQUEST_PARAMETER"
    advice = "Mend the value that the message names."
    docusign = True


class InvalidBody(ApiError):
    """A body that is not what the operation takes."""

    status = 400
    code = "INVALID_REQUEST_BODY"
    advice = "Mend the body: the message names the field, or the event's line."
    docusign = True


class InvalidGroupName(ApiError):
    """A group cannot be called so. It stands at the group in an answer of success."""

    status = 400
    code = "INVALID_GROUP_NAME"
    advice = "Take another name."
    docusign = True


class InvalidGroupId(ApiError):
    """No group of the account that may be changed. It stands at it in an answer of success."""

    status = 400
    code = "INVALID_GROUP_ID"
    advice = "Look which groups there are: list_groups."
    docusign = True


class InvalidUserId(ApiError):
    """No active user of the account. It stands at the user in an answer of success."""

    status = 400
    code = "INVALID_USERID"
    advice = "Look which users there are: list_account_users."
    docusign = True


class EnvelopeIncomplete(ApiError):
    """The emulator: an envelope that is to be sent lacks something."""

    status = 400
    code = "ENVELOPE_IS_INCOMPLETE"
    advice = "Give the envelope a document, a recipient and an emailSubject."
    docusign = True


class EnvelopeNotVoidable(ApiError):
    """The emulator: an envelope is voided that is not under way."""

    status = 400
    code = "ENVELOPE_CANNOT_VOID_INVALID_STATE"
    advice = "Void what is sent or delivered; delete a draft."
    docusign = True


class EnvelopeStatusRefused(ApiError):
    """The emulator: an envelope's status does not allow the call."""

    status = 400
    code = "ENVELOPE_INVALID_STATUS"
    advice = "Look at the envelope's status: the message says which it must have."
    docusign = True


class UnknownRecipient(ApiError):
    """The emulator: an envelope has no such recipient."""

    status = 400
    code = "UNKNOWN_ENVELOPE_RECIPIENT"
    advice = "Give userName, email and clientUserId as the envelope has them."
    docusign = True


class RecipientOutOfSequence(ApiError):
    """The emulator: it is not the recipient's turn."""

    status = 400
    code = "RECIPIENT_NOT_IN_SEQUENCE"
    advice = "Let those of lower routing orders finish first."
    docusign = True


class InvalidRecipientEmail(ApiError):
    """The emulator: a recipient of an envelope cannot be reached."""

    status = 400
    code = "INVALID_EMAIL_ADDRESS_FOR_RECIPIENT"
    advice = "Give each recipient a name and an e-mail."
    docusign = True


class NoSuchTemplate(ApiError):
    """The emulator: no template of the account has this id."""

    status = 400
    code = "TEMPLATE_ID_INVALID"
    advice = "Look which templates there are: GET templates."
    docusign = True


class MalformedRequest(ApiError):
    """What came is not HTTP/1.1 as RFC 9112 has it, or may be read in two ways."""

    status = 400
    code = "MALFORMED_REQUEST"
    advice = "Send HTTP/1.1 as RFC 9112 has it."


class RequestTimedOut(ApiError):
    """The request did not come whole in time."""

    status = 408
    code = "REQUEST_TIMED_OUT"
    advice = "Send the whole request faster, or less of it."


class TargetTooLong(ApiError):
    """A path and query above the limit of a head."""

    status = 414
    code = "REQUEST_TARGET_TOO_LONG"
    advice = "Shorten path and query."


class HeadTooLarge(ApiError):
    """A first line and headers above the limit."""

    status = 431
    code = "REQUEST_HEAD_TOO_LARGE"
    advice = "Send fewer or shorter headers."


class VersionNotSupported(ApiError):
    """Another version of HTTP than 1.1 and 1.0."""

    status = 505
    code = "HTTP_VERSION_NOT_SUPPORTED"
    advice = "Speak HTTP/1.1."


class RefusedUrl(InvalidParameter):
    """A listener's address that the egress guard refuses."""


class NotSignedIn(ApiError):
    """No bearer token was given."""

    status = 401
    code = "PARTNER_AUTHENTICATION_FAILED"
    advice = "Send a token: Authorization: Bearer TOKEN."
    docusign = True


class InvalidToken(ApiError):
    """A bearer token that is unknown, revoked or malformed."""

    status = 401
    code = "AUTHORIZATION_INVALID_TOKEN"
    advice = "Get a new token."
    docusign = True


class WrongCredentials(ApiError):
    """A user's name and password that do not belong together, or to nobody."""

    status = 401
    code = "USER_AUTHENTICATION_FAILED"
    advice = "Mend Username and Password, or let an administrator set a password."
    docusign = True


class LacksPermission(ApiError):
    """The token's role does not allow the call (DocuSign answers 401 to this, and not 403)."""

    status = 401
    code = "USER_LACKS_PERMISSIONS"
    advice = "Use the token of somebody who may."
    docusign = True


class NotFound(ApiError):
    """No such thing in this account; the same for another account's things (S8)."""

    status = 404
    code = "RESOURCE_NOT_FOUND"
    advice = "Look whether the id, the account and the token belong together."
    docusign = True


class EnvelopeNotFound(NotFound):
    """No event of this envelope was ever published to this account."""

    code = "ENVELOPE_DOES_NOT_EXIST"
    advice = "Publish an event of the envelope first."


class NoSuchDocument(NotFound):
    """The emulator: an envelope has no such document."""

    code = "DOCUMENT_DOES_NOT_EXIST"
    advice = "Look which documents it has: GET documents."


class MethodNotAllowed(ApiError):
    """The path exists, the method does not; `allowed` are those that do."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    advice = "Use a method that the Allow header names."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"This resource takes {', '.join(allowed)}.")
        self.allowed = allowed


class NotAcceptable(ApiError):
    """No representation that the Accept header admits."""

    status = 406
    code = "NOT_ACCEPTABLE"
    advice = "Accept JSON or XML."


class EventConflict(ApiError):
    """An event id that already stands for another event."""

    status = 409
    code = "EVENT_ID_CONFLICT"
    advice = "Give the other event an id of its own."


class LoopDetected(ApiError):
    """An event that was a message of ours too often (S15; RFC 5842, 7.2, for the status)."""

    status = 508
    code = "LOOP_DETECTED"
    advice = "Let the listener publish elsewhere, or its configuration name other events."


class TooManyKeys(ApiError):
    """The account has as many active HMAC keys as it may have."""

    status = 409
    code = "HMAC_KEY_LIMIT_EXCEEDED"
    advice = "Retire a key first."


class TooManyRepublishJobs(ApiError):
    """The account has as many republish jobs that have not ended as it may have."""

    status = 409
    code = "REPUBLISH_JOB_LIMIT_EXCEEDED"
    advice = "Wait until one has finished, or cancel one."


class RepublishJobEnded(ApiError):
    """A republish job that is finished or cancelled cannot be changed any more."""

    status = 409
    code = "REPUBLISH_JOB_ENDED"
    advice = "Start another job for what is left."


class OAuthClientExists(ApiError):
    """The account has an OAuth client already."""

    status = 409
    code = "CONNECT_OAUTH_ALREADY_EXISTS"
    advice = "Update it, or delete it first."


class RelayRefused(ApiError):
    """A relay does not know who has sent it a message."""

    status = 401
    code = "RELAY_MESSAGE_REFUSED"
    advice = "Give the relay the key that DocuSign signs with, and see what it has refused."


class RelayExists(ApiError):
    """The account has a relay of this name already."""

    status = 409
    code = "RELAY_ALREADY_EXISTS"
    advice = "Update it, or take another name."


class UserExists(ApiError):
    """A user's id, or an active user's e-mail, is taken."""

    status = 409
    code = "USER_ALREADY_EXISTS_IN_ACCOUNT"
    advice = "Take another id or e-mail, or close the user who has it."
    docusign = True


class BodyTooLarge(ApiError):
    """A body above the operation's limit."""

    status = 413
    code = "REQUEST_ENTITY_TOO_LARGE"
    advice = "Send less in one call."


class InvalidContentType(ApiError):
    """A Content-Type that the operation does not read."""

    status = 415
    code = "INVALID_CONTENT_TYPE"
    advice = "Send the body in a form that the message names."
    docusign = True


class CodedBody(InvalidContentType):
    """A body in a Content-Encoding: none is decoded, for a small one may unpack to any size."""


class TooMuchPublished(ApiError):
    """More envelopes than an account may publish anew within an hour."""

    status = 429
    code = "HOURLY_PUBLISH_LIMIT_EXCEEDED"
    advice = "Wait for as long as Retry-After says."
    retry_after = 600


class TooManyAttempts(ApiError):
    """Too many sign-ins failed; `retry_after` are the seconds until one more may be tried."""

    status = 429
    code = "TOO_MANY_SIGN_INS"
    advice = "Wait for as long as Retry-After says."

    def __init__(self, message: str, seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = seconds


class HourlyLimitExceeded(ApiError):
    """More calls of an account than its hour has (DocuSign's answer has had status 400)."""

    status = 429
    code = "HOURLY_APIINVOCATION_LIMIT_EXCEEDED"
    advice = "Wait for as long as Retry-After says, and call less often."
    docusign = True
    retry_after = 3600


class BurstLimitExceeded(ApiError):
    """More calls of an account, or of one token, than fit into 30 seconds."""

    status = 429
    code = "BURST_APIINVOCATION_LIMIT_EXCEEDED"
    advice = "Wait for as long as Retry-After says, and call at a steadier pace."
    docusign = True
    retry_after = 30


class TooManyFollowers(ApiError):
    """An account of which as many follow a listing as may."""

    status = 429
    code = "FOLLOWER_LIMIT_EXCEEDED"
    advice = "End another one that follows events or the log, or list what has come."
    retry_after = 15


class TooManyRefused(ApiError):
    """A client whose tokens were refused so often that no new one is looked up for a while."""

    status = 429
    code = "REFUSED_TOKEN_LIMIT_EXCEEDED"
    advice = "Stop whatever calls with a wrong token, and wait for as long as Retry-After says."
    retry_after = 300


class Unspecified(ApiError):
    """Heliograph made an error; its log has the details."""

    status = 500
    code = "UNSPECIFIED_ERROR"
    advice = "Repeat the call once; if it fails again, report what the log says."
    docusign = True


class Unavailable(ApiError):
    """Nothing was accepted; the same call will work later."""

    status = 503
    code = "SERVICE_UNAVAILABLE"
    advice = "Repeat the call after as long as Retry-After says: nothing was done."
    retry_after = 2


class OAuthRefused(HeliographError):
    """A grant, or a call of /oauth, that is refused."""

    def __init__(
        self, error: str, description: str, status: int = 400, retry_after: int | None = None
    ) -> None:
        """`error` is one of RFC 6749's names or DocuSign's `consent_required`; `status` is
        HTTP's; `retry_after` are seconds, where waiting helps."""
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.retry_after = retry_after


class ConfigurationsChanged(HeliographError):
    """The account's configurations changed between matching and accepting."""


class Unrenderable(HeliographError):
    """The message of an event cannot be made, this time or any other: nothing was sent."""


class UnusableSetting(HeliographError):
    """A setting that nothing can run with. It may hold a secret: the message repeats none of it."""


class StorageUnavailable(HeliographError):
    """The disk is full or the database locked: nothing was written, and later it will be."""


class ClockDoubted(HeliographError):
    """The clock is ahead of the time that has passed: nothing is deleted for its age."""


class StorageBroken(HeliographError):
    """The database's files cannot be read or written: only a restart helps."""


class UnsafeStorage(HeliographError):
    """The storage cannot keep the promises; the message says how to mend it."""


def answers(root: type[ApiError] = ApiError) -> Sequence[type[ApiError]]:
    """Every error that a caller can be answered with: the table of codes."""
    errors: list[type[ApiError]] = []
    for error in root.__subclasses__():
        errors += [error, *answers(error)]
    return errors
