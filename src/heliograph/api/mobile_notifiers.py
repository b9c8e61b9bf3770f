"""Mobile notifiers: phones that DocuSign's own application registers. Heliograph has none.

DocuSign calls these operations reserved. They are answered so that a program that calls them
goes on: the list is empty, and each device of a change is answered with its own error, the
place that the SDK's model has for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from heliograph.api.contract.operation import Call, Operation
from heliograph.errors import ApiError, InvalidBody, NotFound
from heliograph.model.accounts import Role
from heliograph.wire import mobile_notifiers as wire
from heliograph.wire.rest import ErrorDetails

_PATH: Final = "/accounts/{accountId}/connect/mobile_notifiers"


class MobileNotifiers:
    """Nothing is ever registered, so there is nothing to store."""

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        phones = wire.MobileNotifierConfigurationInformation
        return [
            Operation(
                operation_id="list_mobile_notifiers",
                method="GET",
                path=_PATH,
                handler=self._list,
                role=Role.VIEWER,
                summary="Lists the phones that are registered: none ever is.",
                answer=phones,
                v2=True,
            ),
            Operation(
                operation_id="update_mobile_notifiers",
                method="PUT",
                path=_PATH,
                handler=self._update,
                body=phones,
                summary="Registers no phone, and says so of each.",
                answer=phones,
                v2=True,
            ),
            Operation(
                operation_id="delete_mobile_notifiers",
                method="DELETE",
                path=_PATH,
                handler=self._delete,
                body=phones,
                summary="Says of each phone that it is not registered.",
                answer=phones,
                v2=True,
            ),
        ]

    async def _list(self, _: Call) -> wire.MobileNotifierConfigurationInformation:
        return wire.MobileNotifierConfigurationInformation(mobile_notifier_configurations=[])

    async def _update(self, call: Call) -> wire.MobileNotifierConfigurationInformation:
        return _each(
            call,
            lambda device: InvalidBody(
                f"Device {device} was not registered: Heliograph sends nothing to phones."
            ),
        )

    async def _delete(self, call: Call) -> wire.MobileNotifierConfigurationInformation:
        return _each(call, lambda device: NotFound(f"There is no device {device}."))


def _each(
    call: Call, wrong: Callable[[str], ApiError]
) -> wire.MobileNotifierConfigurationInformation:
    body: wire.MobileNotifierConfigurationInformation = call.body
    devices = body.mobile_notifier_configurations
    if not devices:
        raise InvalidBody("mobileNotifierConfigurations must name at least one device.")
    for device in devices:
        error = wrong(device.device_id or "without a deviceId")
        device.error_details = ErrorDetails(error_code=error.code, message=error.message)
    return body
