"""The header X-DocuSign-Authentication: a user's name and password with every call.

DocuSign has retired it; it is off unless --legacy-header switches it on. Only its JSON form.
"""

from __future__ import annotations

import msgspec

from heliograph.access.sign_in import SignIn
from heliograph.errors import LacksPermission, NotSignedIn, WrongCredentials
from heliograph.model.accounts import Principal, Role, Secret
from heliograph.model.applications import Person
from heliograph.store import Store


class _Credentials(msgspec.Struct, rename="pascal"):
    username: str = ""
    password: str = ""
    integrator_key: str = ""
    send_on_behalf_of: str = ""


class LegacySignIn:
    """Reads the header."""

    def __init__(self, store: Store, sign_in: SignIn) -> None:
        self._store = store
        self._sign_in = sign_in

    async def principal(self, header: str, client: str) -> Principal:
        """Whom the header stands for; `client` is whom a guess is counted for.

        Raises:
            NotSignedIn: it cannot be read, or its integration key is unknown.
            WrongCredentials: the user or the password is wrong.
            TooManyAttempts: too many were wrong before.
            LacksPermission: a viewer wants to act for somebody, or for nobody of the account.
        """
        try:
            credentials = msgspec.json.decode(header.encode("latin-1"), type=_Credentials)
        except (msgspec.DecodeError, ValueError):
            raise NotSignedIn(
                'X-DocuSign-Authentication must be JSON: {"Username", "Password", '
                '"IntegratorKey"}; its XML form is not read.'
            ) from None
        if not credentials.username or not credentials.password:
            raise WrongCredentials("The header needs Username and Password.")
        key = credentials.integrator_key.strip().lower()
        if "\0" in key or await self._store.sign_ins.registered(key) is None:
            raise NotSignedIn("The IntegratorKey of the header is not registered.")
        password = Secret(credentials.password)
        person = (await self._sign_in.check(credentials.username, password, client)).person
        if credentials.send_on_behalf_of:
            person = await self._on_behalf(person, credentials.send_on_behalf_of.strip())
        return _principal(person, key)

    async def _on_behalf(self, person: Person, name: str) -> Person:
        login = None if "\0" in name else await self._store.sign_ins.login(name)
        if (
            person.user.role is not Role.ADMINISTRATOR
            or login is None
            or login.person.account != person.account
        ):
            raise LacksPermission(
                "SendOnBehalfOf takes an administrator, and another user of the account."
            )
        return login.person


def _principal(person: Person, integration_key: str) -> Principal:
    user = person.user
    return Principal(
        person.account,
        user.role,
        name=user.email,
        token_id=user.user_id,  # calls of one user are limited together, as those of one token
        user_id=user.user_id,
        integration_key=integration_key,
    )
