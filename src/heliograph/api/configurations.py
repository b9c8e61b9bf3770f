"""Configurations: who listens, and what each listener wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from heliograph.api import saving
from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import row_id
from heliograph.aside import RECORD, aside
from heliograph.delivery.publisher import Publisher
from heliograph.delivery.silences import silences
from heliograph.egress import Guard
from heliograph.errors import InvalidBody, NotFound
from heliograph.model.accounts import Role, Secret
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.fidelity import Fidelity
from heliograph.store import Store, undisturbed
from heliograph.wire import configurations, docusign, rest

_ACCOUNT: Final = "/accounts/{accountId}/connect"


class Configurations:
    """The operations of an account's configurations."""

    def __init__(
        self, store: Store, publisher: Publisher, guard: Guard, fidelity: Fidelity
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._guard = guard
        self._fidelity = fidelity

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        configuration, path_of_one = rest.ConnectCustomConfiguration, f"{_ACCOUNT}/{{connectId}}"
        return [
            Operation(
                operation_id="list_configurations",
                method="GET",
                path=_ACCOUNT,
                handler=self._list_configurations,
                role=Role.VIEWER,
                summary="Lists the account's configurations.",
                answer=rest.ConnectConfigResults,
                v2=True,
            ),
            Operation(
                operation_id="create_configuration",
                method="POST",
                path=_ACCOUNT,
                handler=self._create_configuration,
                status=201,
                body=configuration,
                summary="Creates a configuration.",
                answer=configuration,
                v2=True,
            ),
            Operation(
                operation_id="update_configuration",
                method="PUT",
                path=_ACCOUNT,
                handler=self._update_configuration,
                body=configuration,
                summary="Changes the configuration that connectId names; what is not given stays.",
                answer=configuration,
                v2=True,
            ),
            Operation(
                operation_id="get_configuration",
                method="GET",
                path=path_of_one,
                handler=self._get_configuration,
                role=Role.VIEWER,
                summary="Shows one configuration, as a list of one.",
                answer=rest.ConnectConfigResults,
                v2=True,
            ),
            Operation(
                operation_id="delete_configuration",
                method="DELETE",
                path=path_of_one,
                handler=self._delete_configuration,
                summary="Deletes a configuration.",
                v2=True,
            ),
        ]

    async def _list_configurations(self, call: Call) -> rest.ConnectConfigResults:
        found = await self._publisher.configurations(call.account_id)
        return await aside(RECORD * len(found), lambda: self._results(found))

    async def _get_configuration(self, call: Call) -> rest.ConnectConfigResults:
        connect_id = row_id(call.path["connectId"], "connectId")
        return self._results([await self._find(call.account_id, connect_id)])

    async def _create_configuration(self, call: Call) -> rest.ConnectCustomConfiguration:
        integrator = await saving.integrator(self._store, call.principal)
        document, secrets = self._merged(call.body, None, integrator)
        wanted = configurations.read(call.account_id, 0, document, secrets)
        saving.check(self._guard, wanted)
        return self._shown(await self._store.create_configuration(wanted))

    async def _update_configuration(self, call: Call) -> rest.ConnectCustomConfiguration:
        changes: rest.ConnectCustomConfiguration = call.body
        if not changes.connect_id:
            raise InvalidBody("connectId must say which configuration to update.")
        connect_id = row_id(changes.connect_id, "connectId")
        integrator = await saving.integrator(self._store, call.principal)

        async def update() -> ConnectConfiguration:
            version = await self._store.configurations_version(call.account_id)
            before = await self._find(call.account_id, connect_id)
            document, secrets = self._merged(changes, before, integrator)
            wanted = configurations.read(call.account_id, connect_id, document, secrets)
            saving.check(self._guard, wanted)
            await self._store.update_configuration(wanted, version)
            return wanted

        return self._shown(await undisturbed(update, "update"))

    def _merged(
        self,
        changes: rest.ConnectCustomConfiguration,
        before: ConnectConfiguration | None,
        integrator: str | None,
    ) -> tuple[bytes, Mapping[str, Secret]]:
        """The document and secrets that `changes` lead to; DocuSign must take them if it is it."""
        strict = self._fidelity is Fidelity.DOCUSIGN
        if strict:
            docusign.refuse_booleans(changes)
        document, secrets = configurations.merge(changes, before, self._fidelity, integrator)
        if strict:
            docusign.refuse(document, None if before is None else before.document)
        return document, secrets

    def _shown(self, configuration: ConnectConfiguration) -> rest.ConnectCustomConfiguration:
        shown = configurations.to_wire(configuration)
        warnings = [silence.text for silence in silences(configuration, self._fidelity)]
        shown.warnings = warnings or None
        return shown

    def _results(self, listed: Sequence[ConnectConfiguration]) -> rest.ConnectConfigResults:
        return rest.ConnectConfigResults(
            configurations=[self._shown(configuration) for configuration in listed],
            total_records=str(len(listed)),
        )

    async def _delete_configuration(self, call: Call) -> None:
        connect_id = row_id(call.path["connectId"], "connectId")
        if not await self._store.delete_configuration(call.account_id, connect_id):
            raise _no_configuration(connect_id)

    async def _find(self, account_id: str, connect_id: int) -> ConnectConfiguration:
        configuration = await self._store.configuration(account_id, connect_id)
        if configuration is None:
            raise _no_configuration(connect_id)
        return configuration


def _no_configuration(connect_id: int) -> NotFound:
    return NotFound(f"There is no configuration {connect_id}.")
