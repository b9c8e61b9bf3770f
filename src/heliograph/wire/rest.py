"""The messages of the Connect REST API v2.1 about configurations, and what all messages share.

Names and types are those of contract.json (docusign-esign 6.1.0). Every scalar is text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import field

from heliograph.wire.codec import OURS, Wire

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
        extra_json_schema={OURS: True},
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
    # As it was given, also where it cannot be one: an answer says so at the item.
    user_id: str | None = None
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
    `certificateAuthorities`, `deliveryOrder`, `maxPerSecond`, `retrySchedule`, `verbatim`,
    `warnings`.

    The names that its switches have in an eventNotification are taken too: DocuSign's example of a
    historical publish has `SignMessageWithX509Cert`."""

    also: ClassVar[Mapping[str, str]] = {
        "includeCertificateWithSoap": "includeCertSoapHeader",
        "includeTimeZone": "includeTimeZoneInformation",
        "loggingEnabled": "enableLog",
        "requireAcknowledgment": "requiresAcknowledgement",
        "signMessageWithX509Cert": "signMessageWithX509Certificate",
    }

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
    verbatim: Annotated[
        str | None, own("Whether what came through a relay is sent on as it came.", "true")
    ] = None
    warnings: Annotated[
        list[str] | None, own("Only ever answered: what will not arrive, and why.")
    ] = None


class ConnectConfigResults(Wire):
    """The answer of get and list."""

    configurations: list[ConnectCustomConfiguration]
    total_records: str


def split_texts(text: str) -> list[str]:
    """Comma-separated text, v2's form of a list."""
    return [part.strip() for part in text.split(",") if part.strip()]
