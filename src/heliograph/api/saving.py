"""What is looked at before a configuration is stored, wherever it comes from."""

from __future__ import annotations

from heliograph.egress import Guard, Refused
from heliograph.errors import InvalidBody, RefusedUrl
from heliograph.model.accounts import Principal
from heliograph.model.configurations import ConnectConfiguration, TlsIdentity
from heliograph.outbound import tls
from heliograph.store import Store
from heliograph.wire.configurations import AUTHORITIES_FIELD, AUTHORIZATION_SERVER_FIELD, URL_FIELD


def check(guard: Guard, wanted: ConnectConfiguration, url_field: str = URL_FIELD) -> None:
    """See that a configuration's addresses and certificates can be used.

    The guard looks now, and again at every attempt (S1).

    Raises:
        RefusedUrl: the guard refuses an address; the text names the field.
        InvalidBody: there is no URL, or the certificate authorities are none.
    """
    if not wanted.url:
        raise InvalidBody(f"{url_field} must be the listener's http or https URL.")
    check_url(guard, wanted.url, url_field)
    authentication = wanted.authentication
    if authentication.token_url:
        check_url(guard, authentication.token_url, AUTHORIZATION_SERVER_FIELD)
    if authentication.authorities is not None:
        try:
            tls.check_identity(TlsIdentity(None, None, authentication.authorities))
        except tls.BadIdentity as wrong:
            raise InvalidBody(f"{AUTHORITIES_FIELD}: {wrong}") from None


async def integrator(store: Store, principal: Principal) -> str | None:
    """The account whose keys sign what an application has made integrator-managed.

    That is the account which manages the application (DocuSign: the one that owns the integration
    key). None for who calls without one, and for an application whose tokens its users hold: with
    them anybody could have anything signed.
    """
    if principal.integration_key is None:
        return None
    application = await store.sign_ins.registered(principal.integration_key)
    if application is None or (application.public and application.redirect_uris):
        return None
    return application.account_id


def check_url(guard: Guard, url: str, field: str) -> None:
    """See that the guard admits an address.

    Raises:
        RefusedUrl: it does not; the text names the field.
    """
    try:
        guard.check_new_url(url)
    except Refused as refusal:
        raise RefusedUrl(f"{field} is refused: {refusal}") from None
