"""The messages of the Connect REST API v2.1: wire structs and what they mean in the model.

Names and types are those of contract.json (docusign-esign 6.1.0); the page
`ConnectEvents: listFailures` gives the log's fields. Every scalar is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final
from urllib.parse import quote

import msgspec
from msgspec import field

from heliograph.model.accounts import HmacKey
from heliograph.model.deliveries import Answer, AttemptOutcome, DeliveryState
from heliograph.model.events import HeldReason
from heliograph.model.logs import AttemptDetail, LogEntry, Requeued
from heliograph.wire import dates
from heliograph.wire.codec import Wire

Texts = list[str] | str | None
"""A list in v2.1, comma-separated text in v2: both are read, the list is written."""


Flag = Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["true", "false"]})]
Number = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[0-9]{1,18}$"})]
Guid = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]
Uri = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"format": "uri"}, examples=["https://hooks.example.com/in"]),
]
DateTime = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


def own(description: str, *examples: str) -> msgspec.Meta:
    """Marks a field of Heliograph's in a message of DocuSign's."""
    return msgspec.Meta(
        description=description,
        examples=[*examples] or None,
        extra_json_schema={"x-heliograph": True},
    )


class ErrorDetails(Wire):
    """Why a call failed."""

    error_code: str
    message: str


class UserInfo(Wire):
    """`userInfo`: a user in short, and how callers name one (`userId`)."""

    account_id: str | None = None
    account_name: str | None = None
    activation_access_code: str | None = None
    email: str | None = None
    error_details: ErrorDetails | None = None
    ip_address: str | None = None
    login_status: str | None = None
    membership_id: str | None = None
    send_activation_email: str | None = None
    uri: str | None = None
    user_id: Guid | None = None
    user_name: str | None = None
    user_status: str | None = None
    user_type: str | None = None


class ConnectEventData(Wire):
    """`eventData` of a configuration."""

    format: str | None = None
    include_data: Texts = None
    version: str | None = None


class ConnectOAuthConfig(Wire):
    """`oAuthConfiguration` of a configuration, and the OAuth client of an account."""

    authorization_server_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    custom_parameters: dict[str, str] | None = None
    scope: str | None = None


class ConnectSalesforceField(Wire):
    """Kept for preset configurations; nothing reads it."""

    ds_attribute: str | None = None
    ds_link: str | None = None
    ds_node: str | None = None
    id: str | None = None
    sf_field: str | None = None
    sf_field_name: str | None = None
    sf_folder: str | None = None
    sf_locked_value: str | None = None


class ConnectSalesforceObject(Wire):
    """Kept for preset configurations; nothing reads it."""

    active: str | None = None
    description: str | None = None
    id: str | None = None
    insert: str | None = None
    on_complete_only: str | None = None
    select_fields: list[ConnectSalesforceField] | None = None
    sf_object: str | None = None
    sf_object_name: str | None = None
    update_fields: list[ConnectSalesforceField] | None = None


class ConnectCustomConfiguration(Wire):
    """A configuration, with every field of contract.json, and extensions of ours:
    `certificateAuthorities`, `deliveryOrder`, `maxPerSecond`, `retrySchedule`."""

    allow_envelope_publish: Flag | None = None
    allow_salesforce_publish: str | None = None
    all_users: Flag | None = None
    all_users_except: Flag | None = None
    certificate_authorities: Annotated[
        str | None, own("PEM certificates to trust for the listener beside the system's.")
    ] = None
    configuration_type: str | None = None
    connect_id: Number | None = None
    delivery_mode: Annotated[str | None, msgspec.Meta(examples=["SIM", "aggregate"])] = None
    delivery_order: Annotated[
        str | None, own("What is kept in order: envelope, configuration or none.", "envelope")
    ] = None
    disabled_by: str | None = None
    enable_log: Flag | None = None
    enable_oauth_per_configuration: str | None = field(
        name="enableOAuthPerConfiguration", default=None
    )
    envelope_events: Texts = None
    event_data: ConnectEventData | None = None
    events: Texts = None
    external_folder_id: str | None = None
    external_folder_label: str | None = None
    group_ids: Texts = None
    include_certificate_of_completion: str | None = None
    include_cert_soap_header: str | None = None
    include_document_fields: str | None = None
    include_documents: str | None = None
    include_envelope_void_reason: str | None = None
    include_hmac: Flag | None = field(name="includeHMAC", default=None)
    include_oauth: str | None = field(name="includeOAuth", default=None)
    include_sender_account_as_custom_field: str | None = field(
        name="includeSenderAccountasCustomField", default=None
    )
    include_time_zone_information: str | None = None
    integrator_managed: str | None = None
    max_per_second: Annotated[
        str | None, own("At most so many messages a second from each node.", "10")
    ] = None
    name: str | None = None
    oauth_configuration: ConnectOAuthConfig | None = field(name="oAuthConfiguration", default=None)
    password: str | None = None
    pause_publish: Flag | None = None
    recipient_events: Texts = None
    require_mutual_tls: str | None = None
    requires_acknowledgement: Flag | None = None
    retry_schedule: Annotated[
        Texts, own("standard, docusign, or the seconds before each retry.")
    ] = None
    salesforce_api_version: str | None = None
    salesforce_authcode: str | None = None
    salesforce_call_back_url: str | None = None
    salesforce_documents_as_content_files: str | None = None
    sender_override: str | None = None
    sender_selectable_items: Texts = None
    sf_objects: list[ConnectSalesforceObject] | None = None
    sign_message_with_x509_certificate: str | None = field(
        name="signMessageWithX509Certificate", default=None
    )
    soap_namespace: str | None = None
    url_to_publish_to: Uri | None = None
    user_ids: Texts = None
    user_name: str | None = None
    use_soap_interface: str | None = None


class ConnectConfigResults(Wire):
    """The answer of get and list."""

    configurations: list[ConnectCustomConfiguration]
    total_records: str


class ConnectDebugLog(Wire):
    """One half of an exchange, shown with `additional_info=true`."""

    config_name: str | None = field(name="connectConfig", default=None)
    error_details: ErrorDetails | None = None
    event_date_time: str | None = None
    event_description: str | None = None
    payload: str | None = None


class ConnectLog(Wire):
    """A log entry or a failure, as on the page, and extensions of ours while the failure is open:
    `deliveryState`, `nextTry` where another one is due, `heldReason` where none is yet."""

    account_id: str | None = None
    config_url: str | None = None
    connect_debug_log: list[ConnectDebugLog] | None = None
    connect_id: str | None = None
    created: str | None = None
    delivery_state: Annotated[
        str | None, own("While the failure is open: waiting, held, in_flight or failed.")
    ] = None
    email: str | None = None
    envelope_id: str | None = None
    error: str | None = None
    failure_id: str | None = None
    failure_uri: str | None = None
    held_reason: Annotated[
        str | None, own("Why an open failure is held: `paused`, `disabled` or `order`.")
    ] = None
    last_try: str | None = None
    log_id: str | None = None
    log_uri: str | None = None
    next_try: Annotated[str | None, own("When the next try of an open failure is due.")] = None
    retry_count: str | None = None
    retry_uri: str | None = None
    status: str | None = None
    subject: str | None = None
    user_name: str | None = None


class ConnectLogs(Wire):
    """A listing of logs or of failures; the other list is empty, not missing, so that
    clients can walk both. `totalRecords` counts the records in this answer."""

    failures: list[ConnectLog] | None = None
    logs: list[ConnectLog] | None = None
    total_records: str | None = None
    type: str | None = None


class ConnectFailureFilter(Wire):
    """Which envelopes to republish; `synchronous` waits for the outcome."""

    envelope_ids: Texts = None
    synchronous: Flag | None = None


class ConnectFailureResult(Wire):
    """What republishing did to one envelope and configuration."""

    config_id: str | None = None
    config_url: str | None = None
    envelope_id: str | None = None
    status: str | None = None
    status_message: str | None = None


class ConnectFailureResults(Wire):
    """The answer of both retry_queue calls."""

    retry_queue: list[ConnectFailureResult]


class ConnectDeleteFailureResult(Wire):
    """The answer of deleting a failure: it has no fields (contract.json)."""


# ---------------------------------------------------------------- Heliograph's own messages


class SkippedConfiguration(Wire):
    """A configuration that did not get the event, and why not."""

    ours: ClassVar[bool] = True

    connect_id: str
    name: str
    reason: str


class PublishedEvent(Wire):
    """What became of one published event."""

    ours: ClassVar[bool] = True

    event_id: str
    event: str
    envelope_id: str
    deliveries: str
    repeated: str
    skipped: list[SkippedConfiguration]


class PublishResults(Wire):
    """The answer of publish, one item for each event, in the order given."""

    ours: ClassVar[bool] = True

    events: list[PublishedEvent]
    total_records: str


class ConnectSecret(Wire):
    """An HMAC key; `secret` is shown once, when it is made."""

    ours: ClassVar[bool] = True

    created: str
    key_id: str
    secret: str | None = None


class ConnectSecrets(Wire):
    """The active HMAC keys, oldest first: the order of the signature headers."""

    ours: ClassVar[bool] = True

    secrets: list[ConnectSecret]


class ClientCertificate(Wire):
    """What an account shows to listeners with mutual TLS; the key is never answered."""

    ours: ClassVar[bool] = True

    certificate: str | None = None
    private_key: str | None = None
    subject: str | None = None
    issuer: str | None = None
    expires: str | None = None
    fingerprint: str | None = None


class TestSend(Wire):
    """The whole exchange of a test message. Credentials are not among the headers."""

    ours: ClassVar[bool] = True

    connect_id: str
    url: str
    success: str
    seconds: str
    request_headers: list[str]
    request_body: str
    error: str | None = None
    response_status: str | None = None
    response_headers: list[str] | None = None
    response_body: str | None = None


class BulkResults(Wire):
    """What one batch of a bulk call changed; `nextCursor` is there while more may match."""

    ours: ClassVar[bool] = True

    changed: str
    unchanged: str | None = None
    next_cursor: str | None = None


def sample_event(name: str, account_id: str, envelope_id: str, at: str) -> bytes:
    """A published event for a test message; its subject says what it is."""
    status = name.partition("-")[2]
    person = {"userName": "Heliograph", "email": "heliograph@example.com"}
    signer = {"recipientId": "1", "name": "Test Signer", "email": "signer@example.com"}
    return msgspec.json.encode(
        {
            "event": name,
            "generatedDateTime": at,
            "data": {
                "accountId": account_id,
                "envelopeId": envelope_id,
                **({"recipientId": "1"} if name.startswith("recipient-") else {}),
                "envelopeSummary": {
                    "envelopeId": envelope_id,
                    "status": status,
                    "emailSubject": "Test message of Heliograph: nothing has happened",
                    "sentDateTime": at,
                    "sender": person,
                    "recipients": {"signers": [{**signer, "status": status}]},
                },
            },
        }
    )


def split_texts(text: str) -> list[str]:
    """Comma-separated text, v2's form of a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


# -------------------------------------------------------------------- logs and failures


def log_to_wire(entry: LogEntry) -> ConnectLog:
    """A log entry or failure as on the page. The URIs work on this host as they stand, and
    behind the SDK's base path."""
    base = f"/v2.1/accounts/{entry.account_id}/connect"
    is_open = entry.failure_id is not None
    waits = is_open and entry.state is DeliveryState.WAITING and entry.next_try is not None
    held = entry.held if is_open else None
    return ConnectLog(
        account_id=entry.account_id,
        config_url=entry.config_url,
        connect_id=str(entry.connect_id),
        created=dates.render(entry.created_at),
        delivery_state=entry.state.value if is_open else None,
        email=entry.sender_email,
        envelope_id=entry.envelope_id,
        error=_with_skipped(entry),
        failure_id=None if entry.failure_id is None else str(entry.failure_id),
        failure_uri=None if entry.failure_id is None else f"{base}/failures/{entry.failure_id}",
        held_reason=None if held is None else held.value,
        last_try=dates.render(entry.last_try),
        log_id=None if entry.log_id is None else str(entry.log_id),
        log_uri=None if entry.log_id is None else f"{base}/logs/{entry.log_id}",
        next_try=dates.render(entry.next_try) if waits and entry.next_try else None,
        retry_count=str(entry.retry_count),
        retry_uri=None
        if entry.failure_id is None
        else f"{base}/envelopes/{quote(entry.envelope_id, safe='')}/retry_queue",
        status=entry.status,
        subject=entry.subject,
        user_name=entry.sender_name,
    )


_SKIPPED: Final = {
    HeldReason.PAUSED: "the next try is skipped while the configuration is paused (pausePublish)",
    HeldReason.DISABLED: "the next try is skipped while allowEnvelopePublish is false",
}


def _with_skipped(entry: LogEntry) -> str | None:
    """The error of a failure, and why its next try does not come; DocuSign says so too."""
    # An entry of the log is what one attempt came to, whatever happened later.
    skipped = _SKIPPED.get(entry.held) if entry.held and entry.log_id is None else None
    return " - ".join(filter(None, (entry.error, skipped))) or None


def detail_to_wire(detail: AttemptDetail, message: bytes) -> ConnectLog:
    """A log entry with its debug log: the message that was sent, and what came back."""
    log = log_to_wire(detail.entry)
    log.connect_debug_log = _exchange(detail, message)
    return log


def failure_to_wire(entry: LogEntry, attempts: Sequence[tuple[AttemptDetail, bytes]]) -> ConnectLog:
    """A failure with the debug log of all its attempts, oldest first."""
    log = log_to_wire(entry)
    log.connect_debug_log = [
        half for detail, message in attempts for half in _exchange(detail, message)
    ]
    return log


def _exchange(detail: AttemptDetail, message: bytes) -> list[ConnectDebugLog]:
    sent = ConnectDebugLog(
        config_name=detail.entry.config_name,
        event_date_time=dates.render(detail.entry.last_try),
        event_description=f"Posted {detail.entry.event_name} to {detail.entry.config_url}",
        payload=message.decode(),
    )
    return [sent, _came_back(detail)]


def secret_to_wire(key: HmacKey, *, shown: bool) -> ConnectSecret:
    """An HMAC key, with its secret only where it was just made."""
    return ConnectSecret(
        created=dates.render(key.created_at),
        key_id=key.key_id,
        secret=key.secret.reveal() if shown else None,
    )


def _came_back(detail: AttemptDetail) -> ConnectDebugLog:
    took = "" if detail.seconds is None else f" after {detail.seconds:.3f} s"
    description = {
        AttemptOutcome.DELIVERED: "Delivered",
        AttemptOutcome.FAILED: "Failed",
        AttemptOutcome.UNKNOWN: "Unknown: Heliograph stopped before the outcome was known",
        AttemptOutcome.OPEN: "Being sent",
    }[detail.outcome]
    return ConnectDebugLog(
        config_name=detail.entry.config_name,
        event_date_time=dates.render(detail.entry.last_try),
        event_description=description + took,
        payload=None if detail.answer is None else answer_text(detail.answer),
        error_details=None
        if detail.why is None
        else ErrorDetails(
            error_code=detail.why.phase.name,
            message=str(detail.why),
        ),
    )


def answer_text(answer: Answer) -> str:
    """A listener's answer as text: status line, headers, and the stored part of the body."""
    head = [f"HTTP/1.1 {answer.status} {answer.reason}".rstrip()]
    head += [f"{name}: {value}" for name, value in answer.headers]
    return "\n".join([*head, "", answer.body.decode("utf-8", "replace")])


def requeued_to_wire(done: Requeued) -> ConnectFailureResult:
    """What republishing did to one delivery."""
    return ConnectFailureResult(
        config_id=str(done.connect_id),
        config_url=done.config_url,
        envelope_id=done.envelope_id,
        status=_RETRY_STATUS[done.state],
        status_message=done.note,
    )


_RETRY_STATUS: Final = {
    DeliveryState.WAITING: "queued",
    DeliveryState.IN_FLIGHT: "in_progress",
    DeliveryState.HELD: "held",
    DeliveryState.DELIVERED: "success",
    DeliveryState.FAILED: "failed",
    DeliveryState.CANCELLED: "cancelled",
}


def listing(entries: Sequence[ConnectLog], *, failures: bool) -> ConnectLogs:
    """The answer of listFailures, or of list."""
    return ConnectLogs(
        failures=list(entries) if failures else [],
        logs=[] if failures else list(entries),
        total_records=str(len(entries)),
        type="failures" if failures else "logs",
    )
