"""Signing a user in by name and password: throttled, and the same time for every refusal."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Final

from heliograph.applications import Person
from heliograph.errors import TooManyAttempts, WrongCredentials
from heliograph.model import Secret
from heliograph.passwords import Passwords
from heliograph.store import Store
from heliograph.throttle import sign_ins

_LONGEST: Final = 512
_MOST_KNOWN: Final = 1000

_TOO_MANY: Final = "Too many sign-ins failed: wait {} s before the next one."
_WRONG: Final = "The e-mail or the password is wrong."


class SignIn:
    """Checks passwords, here and for the legacy header, by one count of failures."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._passwords = Passwords()
        self._attempts = sign_ins(store.clock)
        # Passwords that were right for a hash: the legacy header comes with every call, and
        # scrypt is slow on purpose. Bound to the stored hash, which a new password replaces.
        self._salt = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def check(self, name: str, password: Secret, address: str) -> Person:
        """The user of this e-mail or id and password.

        Args:
            name: An e-mail, or a user's id.
            password: What was given.
            address: The client's, for the throttle.

        Raises:
            TooManyAttempts: at this user, or from this address.
            WrongCredentials: nobody's, or not this one's.
        """
        name = name.strip()
        # To HMAC, and so to scrypt, NULs at the end of a password make no difference.
        unusable = "\0" in name or "\0" in password.reveal()
        if unusable or max(len(name), len(password.reveal())) > _LONGEST:
            raise WrongCredentials(_WRONG)
        login = await self._store.sign_ins.login(name)
        stored = None if login is None else login.password_hash
        if login is not None and stored is not None and self._is_known(password, stored):
            return login.person
        key = name.lower() if login is None else login.person.user.user_id
        if wait := self._attempts.take(address, key):
            raise TooManyAttempts(_TOO_MANY.format(wait), wait)
        if not await self._passwords.matches(password, stored) or login is None or stored is None:
            raise WrongCredentials(_WRONG)
        self._attempts.give_back(address, key)
        self._known[self._proof(password, stored)] = None
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return login.person

    async def hash(self, password: Secret) -> str:
        """What is stored of a new password."""
        return await self._passwords.hash(password)

    def _is_known(self, password: Secret, stored: str) -> bool:
        return self._proof(password, stored) in self._known

    def _proof(self, password: Secret, stored: str) -> bytes:
        text = f"{stored}\0{password.reveal()}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._salt, text, hashlib.sha256)
