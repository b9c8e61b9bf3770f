"""Historical publishing on the wire: what a caller asks for, and how far it is.

Names are those of contract.json (docusign-esign 6.1.0): ConnectHistoricalEnvelopeRepublish and
EnvelopePublishTransaction; DocuSign's page createHistoricalEnvelopePublishTransaction says that the
configuration is ad hoc and the messages are JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Final

import msgspec

from heliograph.errors import InvalidBody, InvalidParameter
from heliograph.model.configurations import ConnectConfiguration, Format
from heliograph.model.fidelity import Fidelity
from heliograph.wire import configurations, dates
from heliograph.wire.codec import Wire
from heliograph.wire.rest import ConnectCustomConfiguration, Texts, UserInfo, own

_NAME: Final = "Historical publish"


class ConnectHistoricalEnvelopeRepublish(Wire):
    """Envelopes to publish anew, and the configuration that they go to."""

    config: ConnectCustomConfiguration | None = None
    envelopes: Texts = None


class EnvelopePublishTransactionErrorRollup(Wire):
    """How many envelopes have an error of one kind."""

    count: str | None = None
    error_type: str | None = None


class EnvelopePublishTransaction(Wire):
    """A historical publish and how far it is. `connectId` is ours: logs and failures name it."""

    apply_connect_settings: str | None = None
    connect_id: Annotated[
        str | None, own("Its ad hoc configuration, which logs and failures name.")
    ] = None
    envelope_count: str | None = None
    envelope_level_error_rollups: list[EnvelopePublishTransactionErrorRollup] | None = None
    envelope_publish_transaction_id: str | None = None
    error_count: str | None = None
    file_level_errors: list[str] | None = None
    no_action_required_envelope_count: str | None = None
    processed_envelope_count: str | None = None
    processing_status: str | None = None
    results_uri: str | None = None
    submission_date: str | None = None
    submitted_by_user_info: UserInfo | None = None
    submitted_for_publishing_envelope_count: str | None = None


class EnvelopePublishTransactions(Wire):
    """An account's historical publishes, newest first."""

    ours: ClassVar[bool] = True

    envelope_publish_transactions: list[EnvelopePublishTransaction] | None = None
    total_records: str | None = None


def wanted(
    account_id: str,
    config: ConnectCustomConfiguration,
    fidelity: Fidelity = Fidelity.RELAXED,
    integrator: str | None = None,
) -> ConnectConfiguration:
    """The ad hoc configuration of a call, not yet stored; its messages are JSON.

    `integrator` is as `configurations.merge` takes it.

    Raises:
        InvalidBody: a field that cannot be used, or a wish for XML.
        InvalidParameter: a preset, which DocuSign does not publish the past to.
    """
    document, secrets = configurations.merge(config, None, fidelity, integrator)
    fields = msgspec.json.decode(document)
    event_data = fields.setdefault("eventData", {})
    event_data.setdefault("format", "json")
    fields.setdefault("name", _NAME)
    # To publish is what the call is for, and to all of its envelopes.
    fields |= {"allowEnvelopePublish": "true", "allUsers": "true"}
    configuration = configurations.read(account_id, 0, msgspec.json.encode(fields), secrets)
    if configuration.interest.preset is not None:
        raise InvalidParameter(
            "config.configurationType: historical publishing has no configurations of type "
            f"{configuration.interest.preset}."
        )
    if configuration.rendering.format is Format.XML:
        raise InvalidBody(
            "Historical publishing has JSON messages: give eventData.format json, and no "
            "useSoapInterface."
        )
    return configuration


def to_wire(
    *,
    transaction_id: str,
    connect_id: int,
    uri: str,
    submitted_by: str,
    created_at: datetime,
    counts: Sequence[int],
    cancelled: bool,
) -> EnvelopePublishTransaction:
    """What a caller sees.

    Args:
        transaction_id: Its id.
        connect_id: Of its ad hoc configuration.
        uri: Where it can be followed.
        submitted_by: The name of the token that asked for it.
        created_at: When that was (UTC).
        counts: Envelopes named, named again, unknown, submitted, unfinished, failed.
        cancelled: Whether somebody cancelled it.
    """
    envelopes, repeated, unknown, submitted, unfinished, failed = counts
    errors = {"ENVELOPE_DOES_NOT_EXIST": unknown, "DELIVERY_FAILED": failed}
    status = "processing" if unfinished else "completed"
    return EnvelopePublishTransaction(
        apply_connect_settings="false",
        connect_id=str(connect_id),
        envelope_count=str(envelopes),
        envelope_level_error_rollups=[
            EnvelopePublishTransactionErrorRollup(count=str(count), error_type=name)
            for name, count in errors.items()
            if count
        ],
        envelope_publish_transaction_id=transaction_id,
        error_count=str(unknown + failed),
        file_level_errors=[],
        no_action_required_envelope_count=str(repeated),
        processed_envelope_count=str(submitted - unfinished),
        processing_status="canceled" if cancelled else status,
        results_uri=uri,
        submission_date=dates.render(created_at),
        submitted_by_user_info=UserInfo(user_name=submitted_by),
        submitted_for_publishing_envelope_count=str(submitted),
    )
