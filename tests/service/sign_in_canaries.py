"""The secrets of signing in, for test_canaries.py: each used as it is meant, and misplaced."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from heliograph.access.grants import challenge_of
from tests.integration import BACK, FORM, JWT_BEARER, Assertion
from tests.process import everything
from tests.server import Reply

if TYPE_CHECKING:
    from tests.service.test_canaries import Life

OPTIONS = ("--legacy-header", "--assertions", "once")
"""Of the server: so that the header is read, and assertions are remembered."""

PRIVATE_KEY = "private.pem"
EMAIL = "signer@example.com"
TOKEN, AUTH = "/oauth/token", "/oauth/auth"
LEGACY = "X_DocuSign_Authentication"

SECRETS = {
    "a password set by a command",
    "a private key",
    "an assertion",
    "an authorization code",
    "an access token of a grant",
    "a refresh token",
    "a session",
    "a form's token",
    "a PKCE verifier",
}
"""Those that no message of the API has."""


@dataclass
class SigningIn:
    """A user, an application and what they sign in with, in the life of a server."""

    life: Life
    user_id: str = ""
    integration_key: str = ""
    secret: str = ""
    password: str = ""
    verifier: str = ""
    assertion: str = ""
    cookie: str = ""
    spent: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    # ------------------------------------------------------------------- as it is meant

    async def plant(self) -> None:
        """Set all of it up, and sign in by each grant."""
        life, account = self.life, self.life.account
        ada = {"userName": "Ada", "email": EMAIL}
        made = await life.call("POST", f"{account}/users", {"newUsers": [ada]})
        self.user_id = made.json["newUsers"][0]["userId"]
        self.password = life.canaries.plant("UserPassword.newPassword")
        body = {"newPassword": self.password}
        done = await life.call("PUT", f"{account}/users/{self.user_id}/password", body)
        assert done.status == 200, done.body
        application = {"name": "CRM", "redirectUris": [BACK]}
        made = await life.call("POST", f"{account}/applications", application)
        self.integration_key = made.json["integrationKey"]
        self.secret = await self._new_secret()
        await life.command("applications", "consent", self.integration_key, EMAIL)
        await self._by_assertion()
        await self._by_code()
        answer = await self._legacy(self._legacy_header())
        assert answer.status == 200, answer.body

    async def _new_secret(self) -> str:
        path = f"{self.life.account}/applications/{self.integration_key}/secrets"
        made = await self.life.call("POST", path, shows=True)
        assert made.status == 201, made.body
        secret: str = made.json["secret"]
        self.life.canaries.know("ClientSecret.secret", secret)
        return secret

    async def _by_assertion(self) -> None:
        life = self.life
        file = life.folder / PRIVATE_KEY
        await life.command("applications", "add-key", self.integration_key, "--make", str(file))
        assert file.stat().st_mode & 0o777 == 0o600
        key = load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        # Not the beginning of the file, which is public.
        life.canaries.know("a private key", file.read_text().splitlines()[20])
        life.canaries.know("a private key", key.private_numbers().p.to_bytes(192)[:24])
        now = int(time.time())
        claims = {"iss": self.integration_key, "sub": self.user_id, "iat": now, "exp": now + 3000}
        claims |= {"aud": "{}:{}".format(*life.server.address), "scope": "signature"}
        self.assertion = Assertion(claims, key=key).text
        _, told, signature = self.assertion.split(".")
        life.canaries.know("an assertion", signature[:60])
        life.canaries.know("an assertion", told[40:100])
        form = {"grant_type": JWT_BEARER, "assertion": self.assertion}
        self._know_tokens(await self._form(TOKEN, form, shows=True))
        again = await self._form(TOKEN, form)
        assert (again.status, again.json["error"]) == (400, "invalid_grant")

    async def _by_code(self) -> None:
        verifier = self.life.canaries.plant("a PKCE verifier")
        self.verifier = f"{verifier}{'-' * 43}"
        await self._visit("GET", self._auth_url())
        answer = await self._sign_in(self.password)
        assert answer.status == 303, answer.body
        page = await self._visit("GET", answer.headers["Location"])
        assert b"Give CRM access?" in page.body
        allowed = await self._post(page, "consent", {"decision": "allow"})
        first = self._code(allowed)
        tokens = self._know_tokens(await self._form(TOKEN, self._exchange(first), shows=True))
        old = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        old |= {"client_id": self.integration_key, "client_secret": self.secret}
        tokens = self._know_tokens(await self._form(TOKEN, old, shows=True))
        bearer = f"Bearer {tokens['access_token']}"
        for path in ("/oauth/userinfo", "failures"):
            shown = await self.life.call("GET", path, Authorization=bearer)
            assert shown.status == 200, shown.body
        # A grant that lives until the end, a code that nobody fetches, and thieves.
        for _ in range(2):
            code = self._code(await self._visit("GET", self._auth_url()))
        self._know_tokens(await self._form(TOKEN, self._exchange(code), shows=True))
        self._code(await self._visit("GET", self._auth_url()))
        revoked = {"token": tokens["access_token"], "client_id": self.integration_key}
        revoked |= {"client_secret": self.secret}
        assert (await self._form("/oauth/revoke", revoked)).status == 200
        self.spent = {"code": first, "refresh_token": old["refresh_token"]}
        for form in (old, self._exchange(first)):
            assert (await self._form(TOKEN, form)).status == 400

    def _auth_url(self, **over: str) -> str:
        asked = {"response_type": "code", "client_id": self.integration_key, "state": "s"}
        asked |= {"redirect_uri": BACK, "scope": "signature extended"}
        asked |= {"code_challenge": challenge_of(self.verifier), "code_challenge_method": "S256"}
        return f"{AUTH}?{urlencode(asked | over)}"

    def _exchange(self, code: str, **over: str) -> dict[str, str]:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": self.verifier}
        form |= {"client_id": self.integration_key, "client_secret": self.secret}
        return {name: text for name, text in {**form, **over}.items() if text}

    def _legacy_header(self, **over: str) -> str:
        given = {"Username": EMAIL, "Password": self.password}
        return json.dumps({**given, "IntegratorKey": self.integration_key, **over})

    async def _legacy(self, header: str, **headers: str) -> Reply:
        self.calls += 1
        sent = {LEGACY: header, "Authorization": "", **headers}
        return await self.life.call("GET", "failures", shows=False, **sent)

    def _know_tokens(self, answer: Reply) -> dict[str, str]:
        assert answer.status == 200, answer.body
        found: dict[str, str] = answer.json
        self.life.canaries.know("an access token of a grant", found["access_token"])
        if "refresh_token" in found:
            self.life.canaries.know("a refresh token", found["refresh_token"])
        return found

    async def _form(
        self, path: str, form: Mapping[str, str] | bytes, *, shows: bool = False, **headers: str
    ) -> Reply:
        self.calls += 1
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        sent = {"Authorization": "", "Content_Type": FORM, **headers}
        return await self.life.call("POST", path, body, shows=shows, **sent)

    # ---------------------------------------------------------------------- the pages

    async def _visit(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Reply:
        """A page, or where it leads; each secret may be in its own place of it, and only there."""
        self.calls += 1
        body = None if form is None else urlencode(form).encode()
        sent = {"Authorization": "", "Cookie": self.cookie, "Content_Type": FORM}
        answer = await self.life.call(method, path, body, shows=True, **sent)
        heads, page = repr(answer.headers), answer.body.decode()
        if cookie := answer.headers.get("Set-Cookie"):
            self.cookie = cookie.partition(";")[0]
            session = self.cookie.partition("=")[2]
            self.life.canaries.know("a session", session)
            heads = heads.replace(f"'{self.cookie};", "'", 1)
        if token := _TOKEN.search(page):
            self.life.canaries.know("a form's token", token[1])
            page = _TOKEN.sub("", page)
        page = _EMAIL.sub("", page)  # a form keeps what was typed as the e-mail
        to = answer.headers.get("Location", "")
        if to.startswith(f"{BACK}?"):
            for code in parse_qs(urlsplit(to).query).get("code", ()):
                self.life.canaries.know("an authorization code", code)
                heads = heads.replace(f"{BACK}?code={code}", "", 1)
        self.life.said.append((f"{method} {path[:40]}", f"{heads}\n{page}".encode()))
        return answer

    async def _post(self, page: Reply, to: str, form: Mapping[str, str]) -> Reply:
        token = _TOKEN.search(page.body.decode())
        assert token, page.body
        url = self._auth_url().replace(AUTH, f"{AUTH}/{to}")
        return await self._visit("POST", url, {"token": token[1], **form})

    async def _sign_in(self, password: str, email: str = EMAIL) -> Reply:
        page = await self._visit("GET", self._auth_url(prompt="login"))
        return await self._post(page, "sign-in", {"email": email, "password": password})

    def _code(self, answer: Reply) -> str:
        (code,) = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
        return code

    # ---------------------------------------------------------------------- misplaced

    async def mistake(self) -> None:
        """Calls that are refused, with a secret where it does not belong or in a bad form."""
        for form in self._wrong_forms():
            answer = await self._form(TOKEN, form)
            assert answer.status in (400, 401, 413), (form, answer.body)
        whole = self._exchange(self.spent["code"])
        for path in (TOKEN, "/oauth/revoke"):
            query = f"{path}?{urlencode(whole | {'token': self.password})}"
            assert (await self._form(query, b"")).status == 400
            wrong = await self._form(path, json.dumps(whole).encode(), Content_Type="text/json")
            assert wrong.status == 400
            assert (await self.life.call("GET", query)).status == 405
        for given in self._wrong_authorizations():
            answer = await self._form(TOKEN, whole, Authorization=given)
            assert answer.status in (400, 401), answer.body
            if not given.startswith("Basic"):
                answer = await self.life.call("GET", "/oauth/userinfo", Authorization=given)
                assert answer.status == 401, answer.body
        await self._wrong_pages()
        await self._wrong_api_calls()
        await self._wrong_legacy()
        await self._wrong_http()

    def _wrong_forms(self) -> list[dict[str, str] | bytes]:
        jwt, whole = {"grant_type": JWT_BEARER}, self._exchange(self.spent["code"])
        head, told, signature = self.assertion.split(".")
        client = {"client_id": self.integration_key, "client_secret": self.secret}
        claim = {"iss": self.integration_key, self.password: self.password}
        named = Assertion(claim).headed(kid=self.password)
        return [
            *({**whole, name: self.password} for name in whole),
            {name: text for name, text in whole.items() if name != "client_secret"},
            {**whole, "code": self.spent["refresh_token"]},
            {**whole, "code_verifier": self.verifier[:20]},
            {**client, "grant_type": "password", "username": EMAIL, "password": self.password},
            {**client, "grant_type": "client_credentials"},
            {**client, "grant_type": "refresh_token", "refresh_token": self.spent["code"]},
            {**client, "grant_type": "refresh_token", **self.spent, "scope": self.password},
            {**jwt, "assertion": self.password},
            {**jwt, "assertion": f"{head}.{told}"},
            {**jwt, "assertion": f"{head}.{told}.{signature[:-8]}"},
            {**jwt, "assertion": f"{head}.{told}.{signature}\n"},
            {**jwt, "assertion": f"{signature}.{told}.{head}"},
            {**jwt, "assertion": f"{self.assertion}.{self.assertion}"},
            {**jwt, "assertion": named.text},
            {**jwt, "assertion": named.headed(alg=self.password).text},
            {**jwt, "assertion": named.headed(jku=self.password).text},
            {**jwt, "assertion": named.with_(sub=self.password, aud=self.password).text},
            {"assertion": self.assertion},
            urlencode(whole).encode() * 2,
            urlencode(whole).replace("=", "%").encode(),
            urlencode(whole).encode() + b"%00",
            urlencode(whole).encode() + b"\xff",
            urlencode({"password": self.password * 3000}).encode(),
        ]

    def _wrong_authorizations(self) -> list[str]:
        text = f"{self.integration_key}:{self.secret}"
        wrong = base64.b64encode(f"{self.integration_key}:{self.password}".encode()).decode()
        return [
            f"Basic {text}",
            f"Basic {base64.b64encode(text.encode()).decode()}",  # and the form has it again
            f"Basic {wrong}",
            f"Bearer {self.secret}",
            f"Bearer {self.assertion}",
            f"Bearer {self.spent['code']}",
            f"Bearer {self.spent['refresh_token']} {self.password}",
        ]

    async def _wrong_pages(self) -> None:
        secrets = {"client_secret": self.secret, "password": self.password}
        for over in (
            secrets,
            {**secrets, "prompt": "login"},
            {**secrets, "prompt": "none"},
            {**secrets, "prompt": "consent"},
            {"response_type": self.password},
            {"scope": self.password},
            {"code_challenge": self.verifier, "code_challenge_method": "plain"},
            {"code_challenge": self.verifier[:42]},
            {"client_id": self.secret},
            {"redirect_uri": f"https://user:{self.password}@app.example/back"},
            {"redirect_uri": f"{BACK}?code={self.spent['code']}"},
        ):
            answer = await self._visit("GET", self._auth_url(**over))
            assert answer.status in (200, 303, 400), answer.body
        page = await self._visit("GET", self._auth_url(prompt="consent"))
        for to in ("sign-in", "sign-out", "consent"):
            url = self._auth_url(**secrets).replace(AUTH, f"{AUTH}/{to}")
            form = {"email": EMAIL, "password": self.password}
            for token in ({}, {"token": self.password}, {"token": self.cookie}):
                assert (await self._visit("POST", url, {**form, **token})).status == 403
        assert (await self._post(page, "consent", {"decision": self.password})).status == 303
        wrong = self.life.canaries.plant("a wrong password")
        for password, email in ((wrong, EMAIL), (self.password * 9, EMAIL), (EMAIL, self.password)):
            assert (await self._sign_in(password, email)).status == 403
        url = self._auth_url(**secrets)
        signed_in = await self._sign_in(self.password)
        page = await self._visit("GET", signed_in.headers["Location"])
        page = await self._visit("GET", f"{url}&prompt=consent")
        out = await self._post(page, "sign-out", secrets)
        assert out.status == 303

    async def _wrong_api_calls(self) -> None:
        life, account = self.life, self.life.account
        users, secret = f"{account}/users/{self.user_id}/password", self.password
        application = f"{account}/applications/{self.integration_key}"
        private = (life.folder / PRIVATE_KEY).read_text()
        whole: list[tuple[str, str, Any]] = [
            ("PUT", users, {"newPassword": secret * 20}),
            ("PUT", users, {"newPassword": {"x": secret}}),
            ("PUT", users, {"newPassword": [secret]}),
            ("PUT", users, secret),
            ("PUT", users, json.dumps({"newPassword": secret})[:-1].encode()),
            ("PUT", users, json.dumps({"newPassword": secret}).replace(": ", "").encode()),
            ("PUT", users, f'{{"newPassword": "{secret}\\u0000"}}'.encode()),
            ("POST", f"{account}/applications", {"name": "x", "role": secret}),
            ("POST", f"{account}/applications", {"name": "x", "redirectUris": [secret]}),
            ("PUT", application, {"redirectUris": [f"https://u:{secret}@app.example/"]}),
            ("PUT", application, {"redirectUris": [f"http://app.example/?s={secret}"]}),
            ("PUT", application, {"secrets": secret}),
            ("PUT", application, {"secrets": [{"secret": [self.secret]}]}),
            ("POST", f"{application}/keys", {"publicKey": private}),
            ("POST", f"{application}/keys", {"publicKey": private.replace("PRIVATE", "PUBLIC")}),
            ("POST", f"{application}/keys", {"publicKey": "".join(private.splitlines()[1:-1])}),
            ("GET", f"{account}/applications/{self.secret}", None),
            ("DELETE", f"{application}/keys/{self.secret}", None),
            ("DELETE", f"{application}/secrets/{self.secret}", None),
            ("DELETE", f"{account}/consents/{self.secret}/{self.secret}", None),
            ("POST", f"{account}/consents", {"integrationKey": secret, "userId": self.user_id}),
            *(
                ("POST", f"{account}/consents", {"integrationKey": self.integration_key, **more})
                for more in ({"userId": secret}, {"userId": self.user_id, "scopes": secret})
            ),
        ]
        for method, path, body in whole:
            self.calls += 1
            answer = await life.call(method, path, body)
            assert answer.status in (400, 404), (path, body, answer.body)
        for xml in (
            f"<userPassword><newPassword>{secret}</newPasswort>",
            f"<userPassword><newPassword><{secret}/></newPassword></userPassword>",
            f"<userPassword><newPassword>a&{secret};</newPassword></userPassword>",
        ):
            answer = await life.call("PUT", users, xml.encode(), Content_Type="application/xml")
            assert answer.status == 400, answer.body

    async def _wrong_legacy(self) -> None:
        xml = (
            f"<DocuSignCredentials><Username>{EMAIL}</Username>"
            f"<Password>{self.password}</Password></DocuSignCredentials>"
        )
        wrong = self.life.canaries.plant("a wrong password")
        for header in (
            xml,
            self._legacy_header()[:-1],
            self._legacy_header().replace('"Password": ', ""),
            self._legacy_header(IntegratorKey=self.password),
            self._legacy_header(Username=self.password),
            self._legacy_header(Password=wrong),
            self._legacy_header(Password=f"{self.password}\0"),
            self._legacy_header(SendOnBehalfOf=self.password),
        ):
            answer = await self._legacy(header)
            assert answer.status == 401, (header, answer.body)
        both = await self._legacy(self._legacy_header(), Authorization=f"Bearer {self.secret}")
        assert both.status == 401, both.body
        # The mark is in every one of them; at last there are too many, later on a slow machine: one
        # more may be tried every few seconds.
        for number in range(200):
            answer = await self._legacy(self._legacy_header(Password=f"{wrong}-{number}"))
            if answer.status == 429:
                break
        assert answer.status == 429, answer.body
        for _ in range(20):
            answer = await self._sign_in(wrong)
            if answer.status == 429:
                break
        assert answer.status == 429, answer.body

    async def _wrong_http(self) -> None:
        form = urlencode(self._exchange(self.spent["code"]))
        for text in (
            f"GET / HTTP/1.1\r\nX-DocuSign-Authentication {self._legacy_header()}\r\n\r\n",
            f"POST {TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
            f"Content-Length: 3\r\n\r\n{form}\r\n\r\n",
            f"POST {TOKEN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{form}\r\n\r\n",
            f"GET {AUTH} HTTP/1.1\r\nHost: x\r\nCookie {self.cookie}\r\n\r\n",
        ):
            with self.life.server.open() as connection:
                connection.sendall(text.encode())
                self.life.said.append(("no HTTP", everything(connection)))

    # ----------------------------------------------------------------------- commands

    async def command_everything(self) -> None:
        """The commands, with secrets from files and pipes, and some that are refused."""
        life, key = self.life, self.integration_key
        file, other = life.folder / PRIVATE_KEY, life.folder / "other.pem"
        text = life.canaries.plant("a password set by a command")
        set_it = ("users", "password", EMAIL, "--stdin")
        await life.command(*set_it, stdin=f"{text}\n")
        await life.command(*set_it, status=4, stdin=text * 20)
        await life.command("users", "password", EMAIL, "--stdin", "--remove", status=2, stdin=text)
        await life.command("users", "password", EMAIL, stdin=f"{text}\n{text}\n")
        await life.command("users", "password", EMAIL, status=1, stdin=f"{text}\n{text}x\n")
        for words in (("list",), ("show", key), ("consents",)):
            await life.command("applications", *words)
            await life.command("applications", *words, "--json")
        add_key = ("applications", "add-key")
        await life.command(*add_key, key, "--public-key", str(file), status=4)
        await life.command(*add_key, key, "--public-key", "-", status=4, stdin=file.read_text())
        await life.command(*add_key, key, "--make", str(file), status=2)
        await life.command(*add_key, self.user_id, "--make", str(other), status=4)
        assert not other.exists(), "a private key that belongs to nothing"
        # A secret may begin with a dash.
        for wrong in (
            ["show", "--", self.secret],
            ["remove-secret", "--yes", "--", key, self.secret],
        ):
            await life.command("applications", *wrong, status=4)
        uri = f"https://u:{text}@app.example/"
        await life.command("applications", "change", key, "--redirect-uri", uri, status=4)
        shown = await life.command("applications", "add-secret", key, shows=True)
        life.canaries.know("ClientSecret.secret", shown.partition("Secret  ")[2].split()[0])


_TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')
_EMAIL = re.compile(r'(?<= maxlength="254" value=")[^"]*')
