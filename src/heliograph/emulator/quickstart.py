"""Who DocuSign's quickstarts sign in as: a user, an application with key and secret, a consent.

They are made once in a data directory and written to quickstart.json (mode 0600) before the
database has them, so that a kill between is mended by the next start.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from heliograph import files
from heliograph.access.credentials_file import Credentials
from heliograph.access.passwords import Passwords
from heliograph.model.accounts import Role, Secret
from heliograph.model.applications import IMPERSONATION, SIGNATURE, NewApplication
from heliograph.model.people import NewUser
from heliograph.model.tokens import new_token
from heliograph.store import Store

FILE_NAME: Final = "quickstart.json"
KEY_NAME: Final = "private.key"

_BITS: Final = 2048
_NAME: Final = "Ada Sender"
_REDIRECTS: Final = (
    "http://localhost:3000/ds/callback",
    "http://127.0.0.1:3000/ds/callback",
    "http://localhost:3000/callback",
    "http://localhost:8080/ds/callback",
)
"""Where DocuSign's launchers in Python, Node and Java have themselves called back."""


class Quickstart(msgspec.Struct, frozen=True, rename="camel"):
    """What a quickstart is configured with; secret and password are shown in its file alone."""

    base_uri: str
    account_id: str
    integration_key: str
    user_id: str
    email: str
    secret_key: str
    password: str
    private_key_file: str


async def prepared(store: Store, data_dir: Path, base_uri: str) -> Quickstart:
    """The quickstart of a data directory; made where there is none yet."""
    account_id = Credentials.read(data_dir).account_id
    found = _read(data_dir, base_uri) or _new(data_dir, base_uri, account_id)
    text = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    files.write(data_dir / FILE_NAME, text)
    sign_ins = store.sign_ins
    if await store.people.user(account_id, found.user_id) is None:
        user = NewUser(found.user_id, found.email, _NAME, role=Role.ADMINISTRATOR)
        await store.people.add_users(account_id, [user])
        hashed = await Passwords().hash(Secret(found.password))
        await sign_ins.set_password(account_id, found.user_id, hashed)
    if await sign_ins.application(account_id, found.integration_key) is None:
        key = found.integration_key
        await sign_ins.add_application(account_id, NewApplication(key, "Quickstart", _REDIRECTS))
        await sign_ins.add_key(account_id, key, str(uuid.uuid4()), _public_key(found))
        await sign_ins.add_secret(account_id, key, str(uuid.uuid4()), Secret(found.secret_key))
    scopes = frozenset((SIGNATURE, IMPERSONATION))
    await sign_ins.add_consent(
        account_id, found.integration_key, found.user_id, scopes, "the emulator"
    )
    return found


def _read(data_dir: Path, base_uri: str) -> Quickstart | None:
    try:
        text = (data_dir / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    found = msgspec.json.decode(text, type=Quickstart)
    return msgspec.structs.replace(found, base_uri=base_uri)


def _new(data_dir: Path, base_uri: str, account_id: str) -> Quickstart:
    path = data_dir / KEY_NAME
    key = rsa.generate_private_key(65537, _BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    files.write(path, pem)
    return Quickstart(
        base_uri,
        account_id,
        integration_key=str(uuid.uuid4()),
        user_id=str(uuid.uuid4()),
        email="ada@example.com",
        secret_key=new_token().reveal(),
        password=new_token().reveal(),
        private_key_file=str(path.absolute()),
    )


def _public_key(found: Quickstart) -> str:
    key = load_pem_private_key(Path(found.private_key_file).read_bytes(), None)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")


def configuration(found: Quickstart, form: str) -> bytes:
    """The file that a launcher of DocuSign's code examples reads: `.py` as ds_config.py, `.json`
    as Node's appsettings.json (both as published on GitHub).

    Raises:
        ValueError: there is no such form.
    """
    host = found.base_uri.partition("://")[2]
    if form == ".json":
        node = {
            "dsClientId": found.integration_key,
            "dsClientSecret": found.secret_key,
            "signerEmail": "signer@example.com",
            "signerName": "Grace Signer",
            "dsJWTClientId": found.integration_key,
            "impersonatedUserGuid": found.user_id,
            "privateKeyLocation": found.private_key_file,
            "dsOauthServer": found.base_uri,
            "production": False,
            "targetAccountId": found.account_id,
            "appUrl": "http://localhost:3000",
            "quickACG": "false",
        }
        return msgspec.json.format(msgspec.json.encode(node), indent=2) + b"\n"
    if form != ".py":
        raise ValueError("a file that ends in .py (Python's ds_config.py) or .json (Node's)")
    config = {
        "ds_client_id": found.integration_key,
        "ds_client_secret": found.secret_key,
        "signer_email": "signer@example.com",
        "signer_name": "Grace Signer",
        "app_url": "http://localhost:3000",
        "authorization_server": found.base_uri,
        "allow_silent_authentication": True,
        "target_account_id": found.account_id,
        "demo_doc_path": "demo_documents",
        "doc_docx": "World_Wide_Corp_Battle_Plan_Trafalgar.docx",
        "doc_pdf": "World_Wide_Corp_lorem.pdf",
        "doc_txt": "Welcome.txt",
        "quickstart": "true",
    }
    jwt = {
        "ds_client_id": found.integration_key,
        "ds_impersonated_user_id": found.user_id,
        "private_key_file": found.private_key_file,
        "authorization_server": host,
    }
    return f"DS_CONFIG = {_python(config)}\n\nDS_JWT = {_python(jwt)}\n".encode()


def _python(values: Mapping[str, object]) -> str:
    lines = "".join(f"    {name!r}: {value!r},\n" for name, value in values.items())
    return f"{{\n{lines}}}"
