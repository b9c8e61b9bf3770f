"""/oauth/auth: a user signs in and lets an application act (authorization code, PKCE).

Pages work without script. Nothing is redirected to before the application and its redirect URI
are known to belong together (RFC 6749, 4.1.2.1). Every form carries a token made of the
visitor's cookie, which other sites cannot read; a sign-in begins a new cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from heliograph.access.sign_in import SignIn
from heliograph.api.contract.endpoint import Respond
from heliograph.api.contract.oauth_paths import AUTHORIZE
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.api.contract.routing import Route
from heliograph.api.sign_in.callers import client_of_request
from heliograph.api.sign_in.form_fields import read_fields, read_form
from heliograph.api.sign_in.refusals import oauth_endpoint
from heliograph.errors import OAuthRefused, TooManyAttempts, WrongCredentials
from heliograph.incoming.address import PublicAddress
from heliograph.model.accounts import Secret
from heliograph.model.applications import (
    CODE_SECONDS,
    SCOPES_ABOUT,
    SESSION_SECONDS,
    SIGNATURE,
    Application,
    NewCode,
    Person,
    known_scopes,
)
from heliograph.model.audit import Actor
from heliograph.model.tokens import new_token
from heliograph.store import Store
from heliograph.store.audit import acting
from heliograph.watch import Observer

SIGN_IN: Final = f"{AUTHORIZE}/sign-in"
SIGN_OUT: Final = f"{AUTHORIZE}/sign-out"
CONSENT: Final = f"{AUTHORIZE}/consent"
STYLE: Final = "/oauth/style.css"

_FIELDS: Final = frozenset(
    {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "login_hint",
        "prompt",
        "code_challenge",
        "code_challenge_method",
    }
)
_LONGEST_STATE: Final = 2048
_CHALLENGE_LENGTH: Final = 43  # SHA-256 in base64url (RFC 7636, 4.2)

_AS_THEY_ARE: Final = ":/%#?=@[]!$&'()*+,;"
"""Signs of a URL that a redirect leaves as they are, beside letters and digits."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]*(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")
"""Host and port without what is a wildcard, or ends a source, in a Content-Security-Policy."""

_PAGES: Final = Environment(
    loader=PackageLoader("heliograph.api", "pages"), autoescape=True, undefined=StrictUndefined
)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What an application asks for. Of `fields` only those that are known: what else it sends,
    such as its secret, stands in no page and no redirect."""

    application: Application
    redirect_uri: str
    fields: Mapping[str, str]

    @property
    def query(self) -> str:
        """The same once more, for a URL."""
        return urlencode(self.fields)

    @property
    def scopes(self) -> frozenset[str]:
        return known_scopes(self.fields.get("scope", ""))

    @property
    def prompts(self) -> frozenset[str]:
        return frozenset(self.fields.get("prompt", "").split())

    def back(self, **answer: str) -> str:
        """The redirect URI with an answer, and the application's own state."""
        if "state" in self.fields:
            answer["state"] = self.fields["state"]
        link = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{link}{urlencode(answer)}"


class ConsentPages:
    """The pages, and what their forms post to."""

    def __init__(
        self, store: Store, sign_in: SignIn, public: PublicAddress, observer: Observer
    ) -> None:
        self._store = store
        self._sign_in = sign_in
        self._public = public
        self._observer = observer
        self._style = files("heliograph.api").joinpath("pages/oauth.css").read_bytes()
        # With __Host- a browser takes the cookie from nobody else, not from a neighbour's domain
        # either; its price is the path.
        self._cookie, self._cookie_path = (
            ("__Host-heliograph", "/") if public.secure else ("heliograph", AUTHORIZE)
        )

    def routes(self) -> Sequence[Route]:
        """The routes of this module."""

        def route(path: str, name: str, method: str, answer: Respond) -> Route:
            return Route(path, oauth_endpoint(name, method, answer, self._observer, self._refused))

        return [
            route(AUTHORIZE, "oauth_authorize", "GET", self._authorize),
            route(SIGN_IN, "oauth_sign_in", "POST", self._posted(self._signed_in)),
            route(SIGN_OUT, "oauth_sign_out", "POST", self._posted(self._signed_out)),
            route(CONSENT, "oauth_consent", "POST", self._posted(self._decided)),
            route(STYLE, "oauth_style", "GET", self._show_style),
        ]

    async def _authorize(self, request: Request) -> Response:
        authorization = await self._authorization(request)
        if refusal := _unusable(authorization):
            return _redirect(authorization.back(error=refusal[0], error_description=refusal[1]))
        person = await self._person(request)
        if person is None or "login" in authorization.prompts:
            if "none" in authorization.prompts:
                return _redirect(authorization.back(error="login_required"))
            return self._sign_in_page(
                request, authorization, authorization.fields.get("login_hint", "")
            )
        application = authorization.application
        consented = await self._store.sign_ins.consented(
            application.integration_key, person.user.user_id
        )
        agreed = authorization.scopes <= consented and _is_itself(authorization)
        if "none" in authorization.prompts and not agreed:
            return _redirect(authorization.back(error="consent_required"))
        if agreed and "consent" not in authorization.prompts:
            return await self._go_back(request, authorization, person)
        return self._page(
            request,
            "consent.html",
            authorization,
            person=person,
            about=[text for scope, text in SCOPES_ABOUT.items() if scope in authorization.scopes],
            host=_shown_host(authorization.redirect_uri),
        )

    def _sign_in_page(
        self,
        request: Request,
        authorization: AuthorizationRequest,
        name: str,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        return self._page(
            request, "sign_in.html", authorization, status=status, email=name, problem=problem
        )

    async def _go_back(
        self, request: Request, authorization: AuthorizationRequest, person: Person
    ) -> Response:
        code = new_token()
        until = self._store.clock.now() + timedelta(seconds=CODE_SECONDS)
        wanted = NewCode(
            integration_key=authorization.application.integration_key,
            user_id=person.user.user_id,
            scopes=authorization.scopes,
            redirect_uri=authorization.redirect_uri,
            challenge=authorization.fields.get("code_challenge"),
            expires_at=until,
        )
        await self._store.sign_ins.add_code(person.account.account_id, code, wanted)
        # What ends sessions ends codes too, but not one that came a moment later.
        if await self._person(request) is None:
            return _redirect(_again(authorization))
        return _redirect(authorization.back(code=code.reveal()))

    def _posted(
        self,
        answer: Callable[[Request, AuthorizationRequest, Mapping[str, str]], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def posted(request: Request) -> Response:
            authorization = await self._authorization(request)
            form = await read_form(request)
            cookie = self._visit(request)
            token = form.get("token", "").encode("utf-8", "surrogatepass")
            if not cookie or not hmac.compare_digest(token, _form_token(cookie).encode()):
                raise OAuthRefused(
                    "invalid_request",
                    "This form was left open too long, or cookies are switched off. "
                    "Go back to the application and begin again.",
                    403,
                )
            return await answer(request, authorization, form)

        return posted

    async def _signed_in(
        self, request: Request, authorization: AuthorizationRequest, form: Mapping[str, str]
    ) -> Response:
        name, password = form.get("email", ""), Secret(form.get("password", ""))
        session = new_token()
        until = self._store.clock.now() + timedelta(seconds=SESSION_SECONDS)
        try:
            login = await self._sign_in.check(name, password, client_of_request(request))
            user = login.person.user
            with acting(Actor(user.email, request.address, user_id=user.user_id)):
                await self._store.sign_ins.open_session(
                    user.account_id, user.user_id, session, until
                )
            # A new password that came while the old one was checked has ended all sessions but
            # this one, of which nobody knows yet.
            await self._sign_in.still(login)
        except TooManyAttempts as problem:
            response = self._sign_in_page(
                request, authorization, name, problem.message, problem.status
            )
            response.headers["retry-after"] = str(problem.retry_after)
            return response
        except WrongCredentials as problem:
            return self._sign_in_page(request, authorization, name, problem.message, 403)
        response = _redirect(_again(authorization))
        self._set_cookie(response, session)
        return response

    async def _signed_out(
        self, request: Request, authorization: AuthorizationRequest, _form: Mapping[str, str]
    ) -> Response:
        await self._store.sign_ins.close_session(self._visit(request))
        response = _redirect(_again(authorization))
        self._set_cookie(response, new_token())
        return response

    async def _decided(
        self, request: Request, authorization: AuthorizationRequest, form: Mapping[str, str]
    ) -> Response:
        if refusal := _unusable(authorization):
            return _redirect(authorization.back(error=refusal[0], error_description=refusal[1]))
        person = await self._person(request)
        if person is None:  # the session ended while the page was open
            return _redirect(_again(authorization))
        if form.get("decision") != "allow":
            return _redirect(authorization.back(error="access_denied"))
        user = person.user
        with acting(Actor(user.email, request.address, user_id=user.user_id)):
            await self._store.sign_ins.add_consent(
                user.account_id,
                authorization.application.integration_key,
                user.user_id,
                authorization.scopes,
                user.user_id,
            )
        return await self._go_back(request, authorization, person)

    async def _authorization(self, request: Request) -> AuthorizationRequest:
        """Who asks, and where the answer goes; before both are sure nothing is redirected."""
        query = read_fields(request.query)
        fields = {name: value for name, value in query.items() if name in _FIELDS}
        key, uri = fields.get("client_id", "").lower(), fields.get("redirect_uri", "")
        application = await self._store.sign_ins.registered(key)
        if application is None:
            raise OAuthRefused("invalid_request", "There is no application with this client_id.")
        if uri not in application.redirect_uris:
            raise OAuthRefused(
                "invalid_request",
                "The redirect_uri is not registered for this application: it must be the same "
                "letter by letter.",
            )
        return AuthorizationRequest(application, uri, fields)

    async def _person(self, request: Request) -> Person | None:
        cookie = self._visit(request)
        return None if not cookie else await self._store.sign_ins.session(cookie)

    def _page(
        self,
        request: Request,
        template: str,
        authorization: AuthorizationRequest,
        status: int = 200,
        **values: Any,
    ) -> Response:
        cookie = self._visit(request)
        visit = new_token() if not cookie else Secret(cookie)
        html = _PAGES.get_template(template).render(
            application=authorization.application,
            query=authorization.query,
            token=_form_token(visit.reveal()),
            **values,
        )
        response = self._html(html, status, authorization.redirect_uri)
        if not cookie:
            self._set_cookie(response, visit)
        return response

    def _html(self, html: str, status: int, redirect_uri: str | None) -> Response:
        # Browsers hold form-action against the redirect that follows a form, too.
        target = "" if redirect_uri is None else f" {_source(redirect_uri)}".rstrip()
        return Response(
            html.encode(),
            status,
            {
                "Content-Security-Policy": (
                    "default-src 'none'; style-src 'self'; base-uri 'none'; "
                    f"frame-ancestors 'none'; form-action 'self'{target}"
                ),
                "X-Frame-Options": "DENY",
                "Referrer-Policy": "same-origin",
            },
            "text/html",
        )

    def _set_cookie(self, response: Response, value: Secret) -> None:
        secure = "; Secure" if self._public.secure else ""
        response.headers["set-cookie"] = (
            f"{self._cookie}={value.reveal()}; HttpOnly; Path={self._cookie_path}; SameSite=lax"
            f"{secure}"
        )

    def _visit(self, request: Request) -> str:
        """What our cookie holds; empty where there is none. Of several the last one counts."""
        pairs = [
            part.strip().partition("=")
            for line in request.every("cookie")
            for part in line.split(";")
        ]
        return {name.strip(): value.strip() for name, _, value in pairs}.get(self._cookie, "")

    def _refused(self, refusal: OAuthRefused) -> Response:
        html = _PAGES.get_template("refused.html").render(description=refusal.description)
        return self._html(html, refusal.status, None)

    async def _show_style(self, _request: Request) -> Response:
        return Response(
            self._style, media_type="text/css", headers={"Cache-Control": "max-age=3600"}
        )


def _unusable(authorization: AuthorizationRequest) -> tuple[str, str] | None:
    """The error that the application is told, and its description."""
    fields = authorization.fields
    if fields.get("response_type") != "code":
        return "unsupported_response_type", "response_type must be code."
    if SIGNATURE not in authorization.scopes:
        return "invalid_scope", f"The scope must have {SIGNATURE} in it."
    challenge = fields.get("code_challenge")
    if challenge is None and authorization.application.public:
        return "invalid_request", "An application without a secret needs a code_challenge."
    if challenge is not None and fields.get("code_challenge_method") != "S256":
        return "invalid_request", "code_challenge_method must be S256."
    if challenge is not None and len(challenge) != _CHALLENGE_LENGTH:
        return "invalid_request", f"code_challenge must have {_CHALLENGE_LENGTH} characters."
    if "none" in authorization.prompts and len(authorization.prompts) > 1:
        return "invalid_request", "prompt=none stands alone."
    if len(fields.get("state", "")) > _LONGEST_STATE:
        return "invalid_request", f"state must have at most {_LONGEST_STATE} characters."
    return None


def _is_itself(authorization: AuthorizationRequest) -> bool:
    """Whether nobody else can stand where the code goes: else the user is asked each time
    (RFC 8252, 8.6)."""
    return not authorization.application.public or authorization.redirect_uri.startswith("https:")


def _again(authorization: AuthorizationRequest) -> str:
    """The page anew; who was asked to sign in has done so."""
    fields = {**authorization.fields, "prompt": " ".join(sorted(authorization.prompts - {"login"}))}
    return f"{AUTHORIZE}?{urlencode(fields)}"


def _form_token(cookie: str) -> str:
    return hashlib.sha256(b"form\0" + cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _redirect(url: str) -> Response:
    location = quote(url, safe=_AS_THEY_ARE)
    return Response(b"", 303, {"Location": location, "Referrer-Policy": "no-referrer"})


def _source(redirect_uri: str) -> str:
    """What form-action names a redirect URI by: nothing where a sign of it means something there,
    as in one that was registered when less was asked."""
    parts = urlsplit(redirect_uri)
    if not _PLAIN.fullmatch(parts.netloc):
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def _shown_host(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    return parts.netloc or f"{parts.scheme}:"
