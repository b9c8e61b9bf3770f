"""Integration keys, consents and passwords of an account. Extensions: DocuSign has web pages.

All of it is an administrator's. The protocol that uses them is in oauth.py and consent.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from heliograph.access.sign_in import SignIn
from heliograph.api.contract import paging, parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.errors import NotFound
from heliograph.model.applications import no_application
from heliograph.model.tokens import new_token
from heliograph.store import Store
from heliograph.wire import applications as wire
from heliograph.wire.names import LONGEST_EMAIL

_ACCOUNT: Final = "/accounts/{accountId}"
_APPLICATIONS: Final = f"{_ACCOUNT}/applications"
_APPLICATION: Final = f"{_APPLICATIONS}/{{integrationKey}}"
_CONSENTS: Final = f"{_ACCOUNT}/consents"
_PASSWORD: Final = f"{_ACCOUNT}/users/{{userId}}/password"

_USER_ID: Final = parameters.text("user_id", "Of this user.", LONGEST_EMAIL, printable=True)
_KEY: Final = parameters.text(
    "integration_key", "For this application.", LONGEST_EMAIL, printable=True
)


class Applications:
    """The operations on applications, and on what users let them do."""

    def __init__(self, store: Store, sign_in: SignIn) -> None:
        self._store = store
        self._sign_in = sign_in

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [*self._of_applications(), *self._of_proofs(), *self._of_users()]

    def _of_applications(self) -> Sequence[Operation]:
        application = wire.Application
        return [
            Operation(
                operation_id="list_applications",
                method="GET",
                path=_APPLICATIONS,
                handler=self._list,
                summary="Lists the applications that the account manages, by name.",
                answer=wire.Applications,
                query=paging.PART,
                extension=True,
            ),
            Operation(
                operation_id="create_application",
                method="POST",
                path=_APPLICATIONS,
                handler=self._add,
                status=201,
                lasting=True,
                body=application,
                summary="Registers an application and gives it an integration key.",
                answer=application,
                extension=True,
            ),
            Operation(
                operation_id="get_application",
                method="GET",
                path=_APPLICATION,
                handler=self._get,
                summary="Gets an application with its public keys.",
                answer=application,
                extension=True,
            ),
            Operation(
                operation_id="update_application",
                method="PUT",
                path=_APPLICATION,
                handler=self._change,
                lasting=True,
                body=application,
                summary="Changes an application; fields that are not given stay.",
                answer=application,
                extension=True,
            ),
            Operation(
                operation_id="delete_application",
                method="DELETE",
                path=_APPLICATION,
                handler=self._delete,
                summary="Deletes an application and revokes its tokens.",
                extension=True,
            ),
        ]

    def _of_proofs(self) -> Sequence[Operation]:
        keys, secrets = f"{_APPLICATION}/keys", f"{_APPLICATION}/secrets"
        return [
            Operation(
                operation_id="add_application_key",
                method="POST",
                path=keys,
                handler=self._add_key,
                status=201,
                lasting=True,
                body=wire.RsaKey,
                summary="Lets an application sign assertions with another RSA key.",
                answer=wire.RsaKey,
                extension=True,
            ),
            Operation(
                operation_id="delete_application_key",
                method="DELETE",
                path=f"{keys}/{{keyId}}",
                handler=self._remove_key,
                summary="Takes a public key away.",
                extension=True,
            ),
            Operation(
                operation_id="add_application_secret",
                method="POST",
                path=secrets,
                handler=self._add_secret,
                status=201,
                lasting=True,
                summary="Makes a secret for an application; it is shown this once.",
                answer=wire.ClientSecret,
                extension=True,
            ),
            Operation(
                operation_id="delete_application_secret",
                method="DELETE",
                path=f"{secrets}/{{secretId}}",
                handler=self._remove_secret,
                summary="Takes a secret away.",
                extension=True,
            ),
        ]

    def _of_users(self) -> Sequence[Operation]:
        consent = f"{_CONSENTS}/{{integrationKey}}/{{userId}}"
        return [
            Operation(
                operation_id="list_consents",
                method="GET",
                path=_CONSENTS,
                handler=self._list_consents,
                summary="Lists what users of the account let applications do, newest first.",
                answer=wire.Consents,
                query=(_USER_ID, _KEY, *paging.PART),
                extension=True,
            ),
            Operation(
                operation_id="create_consent",
                method="POST",
                path=_CONSENTS,
                handler=self._consent,
                status=201,
                lasting=True,
                body=wire.Consent,
                summary="Consents for a user to one of the account's own applications.",
                answer=wire.Consent,
                extension=True,
            ),
            Operation(
                operation_id="delete_consent",
                method="DELETE",
                path=consent,
                handler=self._withdraw,
                summary="Withdraws a user's consent and revokes the tokens that it brought.",
                extension=True,
            ),
            Operation(
                operation_id="update_user_password",
                method="PUT",
                path=_PASSWORD,
                handler=self._set_password,
                lasting=True,
                body=wire.UserPassword,
                summary="Sets the password that a user signs in with.",
                extension=True,
            ),
            Operation(
                operation_id="delete_user_password",
                method="DELETE",
                path=_PASSWORD,
                handler=self._remove_password,
                summary="Takes a user's password away: the user cannot sign in.",
                extension=True,
            ),
        ]

    async def _list(self, call: Call) -> wire.Applications:
        part = paging.Part.read(call.query)
        page = await self._store.sign_ins.applications(call.account_id, part.start, part.count)
        shown = [wire.application_to_wire(application) for application in page.applications]
        answer = wire.Applications(applications=shown)
        return paging.paged(answer, call, part, len(shown), page.total)

    async def _add(self, call: Call) -> wire.Application:
        new = wire.new_application(call.body)
        return wire.application_to_wire(
            await self._store.sign_ins.add_application(call.account_id, new)
        )

    async def _get(self, call: Call) -> wire.Application:
        application = await self._store.sign_ins.application(call.account_id, _key(call))
        if application is None:
            raise no_application()
        return wire.application_to_wire(application)

    async def _change(self, call: Call) -> wire.Application:
        change = wire.application_change(_key(call), call.body)
        return wire.application_to_wire(
            await self._store.sign_ins.change_application(call.account_id, change)
        )

    async def _delete(self, call: Call) -> None:
        if not await self._store.sign_ins.delete_application(call.account_id, _key(call)):
            raise no_application()

    async def _add_key(self, call: Call) -> wire.RsaKey:
        text = wire.public_key(call.body)
        key = await self._store.sign_ins.add_key(
            call.account_id, _key(call), str(uuid.uuid4()), text
        )
        return wire.key_to_wire(key)

    async def _remove_key(self, call: Call) -> None:
        key_id = call.path["keyId"].lower()
        if not await self._store.sign_ins.remove_key(call.account_id, _key(call), key_id):
            raise NotFound("The application has no key with this keyId.")

    async def _add_secret(self, call: Call) -> wire.ClientSecret:
        text = new_token()
        secret = await self._store.sign_ins.add_secret(
            call.account_id, _key(call), str(uuid.uuid4()), text
        )
        return wire.secret_to_wire(secret, text)

    async def _remove_secret(self, call: Call) -> None:
        secret_id = call.path["secretId"].lower()
        if not await self._store.sign_ins.remove_secret(call.account_id, _key(call), secret_id):
            raise NotFound("The application has no secret with this secretId.")

    async def _list_consents(self, call: Call) -> wire.Consents:
        part = paging.Part.read(call.query)
        user_id, key = _USER_ID.read(call.query), _KEY.read(call.query)
        page = await self._store.sign_ins.consents(
            call.account_id,
            part.start,
            part.count,
            user_id=user_id and user_id.lower(),
            integration_key=key and key.lower(),
        )
        shown = [wire.consent_to_wire(consent) for consent in page.consents]
        return paging.paged(wire.Consents(consents=shown), call, part, len(shown), page.total)

    async def _consent(self, call: Call) -> wire.Consent:
        key, user_id, scopes = wire.consent(call.body)
        # For another account's application its users consent themselves, on the page.
        if await self._store.sign_ins.application(call.account_id, key) is None:
            raise no_application()
        consent = await self._store.sign_ins.add_consent(
            call.account_id, key, user_id, scopes, call.principal.name
        )
        return wire.consent_to_wire(consent)

    async def _withdraw(self, call: Call) -> None:
        user_id = call.path["userId"].lower()
        if not await self._store.sign_ins.withdraw(call.account_id, _key(call), user_id):
            raise NotFound("There is no consent of this user to this application.")

    async def _set_password(self, call: Call) -> None:
        hashed = await self._sign_in.hash(wire.password(call.body))
        await self._store.sign_ins.set_password(
            call.account_id, call.path["userId"].lower(), hashed
        )

    async def _remove_password(self, call: Call) -> None:
        await self._store.sign_ins.set_password(call.account_id, call.path["userId"].lower(), None)


def _key(call: Call) -> str:
    return call.path["integrationKey"].lower()
