"""credentials.json: how the CLI and the SDK's user find and enter a local server."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import msgspec

from heliograph import files
from heliograph.errors import UnsafeStorage
from heliograph.model.accounts import Account, Secret
from heliograph.model.tokens import new_token
from heliograph.store import Store

FILE_NAME: Final = "credentials.json"


class _Document(msgspec.Struct, rename="camel", omit_defaults=True):
    base_uri: str
    account_id: str
    access_token: str
    ca_cert: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the server is, the account, an administrator's token, and whom to trust for it.

    `ca_cert` is the file of the authority of an HTTPS server, None for those of the system.
    """

    base_uri: str
    account_id: str
    access_token: Secret
    ca_cert: Path | None = None

    @classmethod
    def read(cls, data_dir: Path) -> Self:
        """Read `credentials.json`.

        Raises:
            FileNotFoundError: there is none.
            UnsafeStorage: it cannot be read as what it should be.
        """
        path = data_dir / FILE_NAME
        try:
            document = msgspec.json.decode(path.read_bytes(), type=_Document)
        except msgspec.DecodeError as error:
            raise UnsafeStorage(f"{path} is damaged ({error}): restore it.") from None
        authority = None if document.ca_cert is None else Path(document.ca_cert)
        return cls(document.base_uri, document.account_id, Secret(document.access_token), authority)

    def write(self, data_dir: Path) -> None:
        """Write the file whole or not at all, for its owner only (0600)."""
        authority = None if self.ca_cert is None else str(self.ca_cert)
        token = self.access_token.reveal()
        document = _Document(self.base_uri, self.account_id, token, authority)
        text = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        files.write(data_dir / FILE_NAME, text)


async def first_account(
    store: Store, data_dir: Path, base_uri: str, ca_cert: Path | None = None
) -> None:
    """Make the first account and token on a new database; else only note a new address.

    The file is written before the database knows the account, so that a crash between the
    two is mended by the next start.
    """
    try:
        known: Credentials | None = Credentials.read(data_dir)
    except FileNotFoundError:
        known = None
    accounts = await store.accounts()
    credentials = replace(known or _new(), base_uri=base_uri, ca_cert=ca_cert)
    if accounts:
        if known not in (None, credentials):
            credentials.write(data_dir)
        return
    credentials.write(data_dir)
    await store.create_account(
        Account(credentials.account_id, 1, "First account"), credentials.access_token
    )


def _new() -> Credentials:
    return Credentials("", str(uuid.uuid4()), new_token())
