"""Signing a user in by name and password: throttled, and the same time for every refusal."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from heliograph.access.passwords import Passwords
from heliograph.access.throttle import PasswordGuesses, Throttle
from heliograph.bounded import Bounded
from heliograph.errors import TooManyAttempts, WrongCredentials
from heliograph.model.accounts import Secret
from heliograph.model.applications import Login
from heliograph.model.audit import unknown
from heliograph.sharing import Shared, beside
from heliograph.store import Store
from heliograph.store.audit import acting

_LONGEST: Final = 512
_MOST_KNOWN: Final = 1000
_MOST_BYTES: Final = 2**20

_NOTED: Final = 5
"""Failed sign-ins of one user that the audit tells of, and one more an hour: who guesses from
outside fills no database."""

_TOO_MANY: Final = "Too many sign-ins failed: wait {} s before the next one."
_WRONG: Final = "The e-mail or the password is wrong."


class SignIn:
    """Checks passwords, here and for the legacy header, by one count of failures."""

    def __init__(self, store: Store, nodes: int = 1) -> None:
        """`nodes` answer on one port."""
        self._store = store
        self._passwords = Passwords()
        self._guesses = PasswordGuesses(store.clock, nodes)
        # Passwords that were right for a hash: the legacy header comes with every call, and
        # scrypt is slow on purpose. Bound to the stored hash, which a new password replaces.
        self._salt = secrets.token_bytes(32)
        self._known = Bounded[bytes, bool](_MOST_KNOWN, _MOST_BYTES)
        self._noted = Throttle(store.clock, _NOTED, 3600.0)
        # Clients send many calls at once with the same header: that is one guess, compared and
        # counted once, also where there is no such user.
        self._running = Shared[tuple[str, bytes], bool]()

    async def check(self, name: str, password: Secret, address: str) -> Login:
        """The user of this e-mail or id and password, and the hash that it fits.

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
        user = name.lower() if login is None else login.person.user.user_id
        proof = self._proof(password, stored or user)
        right = self._known.get(proof) or await self._running.ask(
            (address, proof), lambda: self._is_right(address, user, password, login, proof)
        )
        if not right or login is None:
            raise WrongCredentials(_WRONG)
        return login

    async def still(self, login: Login) -> None:
        """See that the password has not become another since it was checked.

        Raises:
            WrongCredentials: it has, or the user is gone.
        """
        now = await self._store.sign_ins.login(login.person.user.user_id)
        if now is None or now.password_hash != login.password_hash:
            raise WrongCredentials(_WRONG)

    async def hash(self, password: Secret) -> str:
        """What is stored of a new password."""
        return await self._passwords.hash(password)

    async def _is_right(
        self, address: str, user: str, password: Secret, login: Login | None, proof: bytes
    ) -> bool:
        if wait := self._guesses.take(address, user):
            raise TooManyAttempts(_TOO_MANY.format(wait), wait)
        stored = None if login is None else login.password_hash
        if not await self._passwords.matches(password, stored):
            if login is not None:
                self._note(login, address)
            return False
        self._guesses.give_back(address, user)
        self._known[proof] = True
        return True

    def _note(self, login: Login, address: str) -> None:
        user = login.person.user
        if self._noted.take(user.user_id):
            return
        with acting(unknown(address)):
            # Beside: a refusal takes as long where there is such a user as where there is none.
            beside(self._store.sign_ins.note_failed(user.account_id, user.user_id))

    def _proof(self, password: Secret, stored: str) -> bytes:
        text = f"{stored}\0{password.reveal()}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._salt, text, hashlib.sha256)
