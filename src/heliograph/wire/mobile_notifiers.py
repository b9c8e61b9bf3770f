"""Mobile notifiers on the wire; names are those of docusign-esign 6.1.0."""

from __future__ import annotations

from heliograph.wire.codec import Wire
from heliograph.wire.rest import ErrorDetails


class MobileNotifierConfiguration(Wire):
    """A phone, and in an answer what is wrong with it."""

    device_id: str | None = None
    error_details: ErrorDetails | None = None
    platform: str | None = None


class MobileNotifierConfigurationInformation(Wire):
    """Phones: what a call is about, and the answer."""

    mobile_notifier_configurations: list[MobileNotifierConfiguration] | None = None
