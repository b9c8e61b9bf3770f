"""The corpus of JWT assertions (J1 to J9, J11): what each is answered with, to the letter."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from heliograph.settings import Settings
from heliograph.wire.assertion import LEEWAY, LONGEST, MOST_SECONDS, public_key
from tests.integration import (
    ADA,
    Assertion,
    Integration,
    encoded,
    integrate,
    private_key,
    public_pem,
)
from tests.server import serving

UNPROVEN = "The assertion's issuer, subject or signature is not valid."
NO_JWT = "The assertion is not a JWT of three parts in base64url."
ALG = "The assertion's alg must be RS256."
NO_HEADER = "The assertion's header cannot be read."
NO_CLAIMS = "The assertion's claims cannot be read."
EXP = "The assertion's exp must be a whole number of seconds."
IAT = "The assertion's iat must be a whole number of seconds."
BACKWARDS = "The assertion's exp must be after its iat."
TOO_OLD = "The assertion has expired: it counts for 3600 s from iat."
ISS = "The assertion's iss must be the integration key."

Make = Callable[[Integration], Assertion | str]


def hmac_signed(made: Assertion, algorithm: str = "HS256") -> str:
    """Signed with the public key as the secret of an HMAC: the classic confusion."""
    header = json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    text = f"{encoded(header)}.{encoded(json.dumps(made.claims).encode())}"
    secret = public_pem(private_key()).encode()
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def elliptic(made: Assertion) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    header = json.dumps({"alg": "ES256", "typ": "JWT"}).encode()
    text = f"{encoded(header)}.{encoded(json.dumps(made.claims).encode())}"
    return f"{text}.{encoded(key.sign(text.encode(), ec.ECDSA(SHA256())))}"


def other_padding(made: Assertion) -> str:
    """RSASSA-PSS, or another hash, under the name RS256."""
    text = made.text.rpartition(".")[0]
    how = padding.PSS(padding.MGF1(SHA256()), 32)
    return f"{text}.{encoded(private_key().sign(text.encode(), how, SHA256()))}"


def other_hash(made: Assertion) -> str:
    text = made.text.rpartition(".")[0]
    return f"{text}.{encoded(private_key().sign(text.encode(), padding.PKCS1v15(), SHA384()))}"


def changed_claims(made: Assertion) -> str:
    """The signature of one assertion over the claims of another."""
    head, _, signature = made.text.split(".")
    other = encoded(json.dumps({**made.claims, "sub": str(uuid.uuid4())}).encode())
    return f"{head}.{other}.{signature}"


def raw(made: Assertion, *, header: bytes = b'{"alg":"RS256"}', claims: str = "") -> str:
    """Claims as text, where `{}` stands for the right ones without their braces."""
    right = json.dumps(made.claims)[1:-1]
    return made.signed(header, (claims or "{@}").replace("@", right).encode("utf-8", "replace"))


def at(one: Integration, *, iat: int = 0, exp: int = MOST_SECONDS) -> Assertion:
    """Times by seconds from now."""
    now = int(time.time())
    return one.assertion(iat=now + iat, exp=now + exp)


def headed_by(name: str, value: str) -> Make:
    return lambda one: one.assertion().headed(**{name: value})


def meant_for(audience: Callable[[Integration], object]) -> Make:
    return lambda one: one.assertion(aud=audience(one))


GRANT = "invalid_grant"

CORPUS: dict[str, tuple[Make, str, str]] = {
    # J1: the algorithm
    "J1 none": (lambda one: one.assertion().headed(alg="none"), GRANT, ALG),
    "J1 none without signature": (
        lambda one: one.assertion().headed(alg="none").text.rpartition(".")[0] + ".",
        *(GRANT, NO_JWT),
    ),
    "J1 NoNe": (lambda one: one.assertion().headed(alg="NoNe"), GRANT, ALG),
    "J1 HS256 with the public key": (lambda one: hmac_signed(one.assertion()), GRANT, ALG),
    "J1 HMAC under the name RS256": (
        lambda one: hmac_signed(one.assertion(), "RS256"),
        *(GRANT, UNPROVEN),
    ),
    "J1 rs256": (lambda one: one.assertion().headed(alg="rs256"), GRANT, ALG),
    "J1 RS384": (lambda one: one.assertion().headed(alg="RS384"), GRANT, ALG),
    "J1 RS512": (lambda one: one.assertion().headed(alg="RS512"), GRANT, ALG),
    "J1 PS256": (lambda one: one.assertion().headed(alg="PS256"), GRANT, ALG),
    "J1 ES256": (lambda one: elliptic(one.assertion()), GRANT, ALG),
    "J1 no alg": (lambda one: one.assertion().headed(alg=None), GRANT, ALG),
    "J1 a list of algs": (lambda one: one.assertion().headed(alg=["RS256"]), GRANT, ALG),
    "J1 PSS under the name RS256": (lambda one: other_padding(one.assertion()), GRANT, UNPROVEN),
    "J1 SHA-384 under the name RS256": (lambda one: other_hash(one.assertion()), GRANT, UNPROVEN),
    # J2: the key
    "J2 another key": (
        lambda one: Assertion(one.assertion().claims, key=private_key("stranger")),
        *(GRANT, UNPROVEN),
    ),
    "J2 unknown kid": (lambda one: one.assertion().headed(kid="unknown"), GRANT, UNPROVEN),
    "J2 kid is a path": (
        lambda one: one.assertion().headed(kid="../../dev/null"),
        *(GRANT, UNPROVEN),
    ),
    "J2 kid is a number": (
        lambda one: one.assertion().headed(kid=1),
        *(GRANT, "The assertion's kid must be a text."),
    ),
    **{
        f"J2 {name}": (
            headed_by(name, "https://evil.example/k"),
            *(GRANT, f"The assertion's header must not bring a key ({name})."),
        )
        for name in ("jku", "x5u", "x5c", "jwk")
    },
    "J2 crit": (
        lambda one: one.assertion().headed(crit=["b64"], b64=False),
        *(GRANT, "The assertion's header has an extension that is not understood."),
    ),
    "J2 another type": (
        lambda one: one.assertion().headed(typ="at+jwt"),
        *(GRANT, "The assertion's typ must be JWT."),
    ),
    # J3: the audience
    **{
        f"J3 {name}": (meant_for(aud), GRANT, "")
        for name, aud in {
            "aud of DocuSign": lambda _: "account-d.docusign.com",
            "aud with a scheme": lambda one: f"https://{one.host}",
            "aud with a path": lambda one: f"{one.host}/oauth/token",
            "aud of two": lambda one: [one.host, "account.docusign.com"],
            "an empty aud": lambda _: "",
            "no aud": lambda _: None,
            "aud is a number": lambda _: 1,
        }.items()
    },
    # J4: issuer and subject
    "J4 unknown issuer": (lambda one: one.assertion(iss=str(uuid.uuid4())), GRANT, UNPROVEN),
    "J4 issuer is no GUID": (lambda one: one.assertion(iss="' or 1=1 --"), GRANT, UNPROVEN),
    "J4 no issuer": (lambda one: one.assertion(iss=None), GRANT, ISS),
    "J4 issuer is a list": (lambda one: one.assertion(iss=[one.integration_key]), GRANT, ISS),
    "J4 unknown user": (lambda one: one.assertion(sub=str(uuid.uuid4())), GRANT, UNPROVEN),
    "J4 the user's e-mail": (lambda one: one.assertion(sub="ada@example.com"), GRANT, UNPROVEN),
    "J4 an empty subject": (
        lambda one: one.assertion(sub=""),
        *(GRANT, "The assertion's sub must be the id of a user."),
    ),
    "J4 no subject": (
        lambda one: one.assertion(sub=None),
        "unauthorized_client",
        "The application may not act in its own name: name a user in sub, or let an "
        "administrator give it a role.",
    ),
    # J5: times
    "J5 no exp": (lambda one: one.assertion(exp=None), GRANT, EXP),
    "J5 no iat": (lambda one: one.assertion(iat=None), GRANT, IAT),
    "J5 expired": (
        lambda one: at(one, iat=-1000, exp=-LEEWAY - 1),
        *(GRANT, "The assertion has expired (exp)."),
    ),
    "J5 was of use too long": (
        lambda one: at(one, iat=-MOST_SECONDS - LEEWAY - 1, exp=60),
        *(GRANT, TOO_OLD),
    ),
    "J5 ends before it begins": (lambda one: at(one, iat=30, exp=10), GRANT, BACKWARDS),
    "J5 of the future": (
        lambda one: at(one, iat=LEEWAY + 30, exp=LEEWAY + 90),
        *(GRANT, "The assertion's iat is in the future: set the clock."),
    ),
    "J5 not yet": (
        lambda one: one.assertion(nbf=int(time.time()) + LEEWAY + 30),
        *(GRANT, "The assertion is not valid yet (nbf)."),
    ),
    # J6: scopes
    "J6 no scope": (
        lambda one: one.assertion(scope=None),
        *("invalid_scope", "The scope must have signature in it."),
    ),
    "J6 only impersonation": (
        lambda one: one.assertion(scope="impersonation"),
        *("invalid_scope", "The scope must have signature in it."),
    ),
    "J6 only unknown ones": (
        lambda one: one.assertion(scope="click.manage Signature"),
        *("invalid_scope", "The scope must have signature in it."),
    ),
    "J6 a list": (
        lambda one: one.assertion(scope=["signature"]),
        *(GRANT, "The assertion's scope must be words with blanks between them."),
    ),
    "J6 more than was consented to": (
        lambda one: one.assertion(scope="signature extended"),
        "consent_required",
        "The user has not consented to extended for this application: open /oauth/auth, or let "
        "an administrator consent.",
    ),
    # J8: form
    "J8 too long": (
        lambda one: one.assertion(pad="x" * LONGEST),
        *(GRANT, f"The assertion is longer than {LONGEST} bytes."),
    ),
    "J8 exp is a text": (
        lambda one: one.assertion(exp=str(int(time.time()) + 60)),
        *(GRANT, EXP),
    ),
    "J8 exp is a float": (lambda one: one.assertion(exp=time.time() + 60.5), GRANT, EXP),
    "J8 exp is 1e10": (
        lambda one: raw(one.assertion(exp=None), claims='{@,"exp":1e10}'),
        *(GRANT, EXP),
    ),
    "J8 exp is true": (lambda one: one.assertion(exp=True), GRANT, EXP),
    "J8 exp is Infinity": (
        lambda one: raw(one.assertion(exp=None), claims='{@,"exp":Infinity}'),
        *(GRANT, NO_CLAIMS),
    ),
    "J8 exp has 5,000 digits": (
        lambda one: raw(one.assertion(exp=None), claims='{@,"exp":' + "9" * 5000 + "}"),
        *(GRANT, NO_CLAIMS),
    ),
    "J8 exp is below 0": (lambda one: one.assertion(exp=-1), GRANT, EXP),
    "J8 iat is null": (
        lambda one: raw(one.assertion(iat=None), claims='{@,"iat":null}'),
        *(GRANT, IAT),
    ),
    "J8 a claim twice": (
        lambda one: raw(one.assertion(), claims='{@,"sub":"' + ADA + '"}'),
        *(GRANT, NO_CLAIMS),
    ),
    "J8 alg twice": (
        lambda one: raw(one.assertion(), header=b'{"alg":"none","alg":"RS256"}'),
        *(GRANT, NO_HEADER),
    ),
    "J8 claims are a list": (
        lambda one: raw(one.assertion(), claims="[1]"),
        *(GRANT, "The assertion's claims must be a JSON object."),
    ),
    "J8 claims nested 2,000 deep": (
        lambda one: raw(one.assertion(), claims='{@,"x":' + "[" * 2000 + "]" * 2000 + "}"),
        *(GRANT, NO_CLAIMS),
    ),
    "J8 claims are no UTF-8": (
        lambda one: one.assertion().signed(b'{"alg":"RS256"}', b'{"iss":"\xff"}'),
        *(GRANT, NO_CLAIMS),
    ),
    "J8 two parts": (lambda one: one.assertion().text.rpartition(".")[0], GRANT, NO_JWT),
    "J8 five parts": (lambda one: one.assertion().text + ".a.b", GRANT, NO_JWT),
    "J8 padded": (lambda one: one.assertion().text + "=", GRANT, NO_JWT),
    "J8 a line break": (lambda one: one.assertion().text + "\n", GRANT, NO_JWT),
    "J8 no JSON": (
        lambda one: one.assertion().signed(b"nothing", b"nothing"),
        *(GRANT, NO_HEADER),
    ),
    # J11: signed by another, as if unknown
    "J11 claims changed after signing": (
        lambda one: changed_claims(one.assertion()),
        *(GRANT, UNPROVEN),
    ),
    "J11 a bit of the signature": (
        lambda one: one.assertion().text[:-4] + "AAAA",
        *(GRANT, UNPROVEN),
    ),
    "J11 another's claims are not judged": (
        lambda one: Assertion(at(one, exp=-999).claims, key=private_key("stranger")),
        *(GRANT, UNPROVEN),
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def integration(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Integration]:
    async with serving(tmp_path_factory.mktemp("assertions")) as api:
        yield await integrate(api)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CORPUS)
async def test_s9_a_bad_assertion_is_refused_by_its_exact_error(
    integration: Integration, name: str
) -> None:
    make, error, description = CORPUS[name]
    made = make(integration)
    reply = await integration.ask(made if isinstance(made, str) else made.text)
    assert reply.status == 400
    assert set(reply.json) == {"error", "error_description"}
    assert reply.json["error"] == error
    # On loopback the server goes by two names.
    port = integration.host.rpartition(":")[2]
    audience = f"The assertion's aud must be 127.0.0.1:{port} or localhost:{port}."
    assert reply.json["error_description"] == (description or audience)
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"
    # A success in between: a client that fails often is slowed down, and not by us here.
    assert (await integration.ask(integration.assertion().text)).status == 200


def test_s9_the_corpus_is_as_large_as_was_promised() -> None:
    assert len(CORPUS) >= 48


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "make",
    [
        lambda one: one.assertion(),
        lambda one: one.assertion(scope="signature"),  # the SDK's default: impersonation is implied
        lambda one: one.assertion(scope="signature impersonation click.manage"),
        lambda one: one.assertion(aud=[one.host]),
        lambda one: one.assertion(aud=one.host.replace("127.0.0.1", "localhost")),
        lambda one: one.assertion(sub=ADA.upper(), iss=one.integration_key.upper()),
        lambda one: at(one, iat=LEEWAY - 5, exp=LEEWAY + 60),
        lambda one: at(one, iat=-1000, exp=-LEEWAY + 10),
        lambda one: one.assertion().headed(kid=one.key_id),
        lambda one: one.assertion().headed(typ="jwt", x5t="whatever"),
        lambda one: one.assertion(jti="1", nbf=1, other={"a": [1, 2]}),
    ],
)
async def test_s9_a_good_assertion_brings_a_token(
    integration: Integration, make: Callable[[Integration], Assertion]
) -> None:
    reply = await integration.ask(make(integration).text)
    assert reply.status == 200, reply.body
    assert reply.json["token_type"] == "Bearer"
    assert reply.json["expires_in"] == 8 * 3600
    assert reply.json["scope"] == "impersonation signature"
    assert "refresh_token" not in reply.json
    assert len(reply.json["access_token"]) == 43
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("iat", "exp"), [(0, 4000), (0, 2**33), (-MOST_SECONDS, 10**6)])
async def test_fidelity_assertions_that_live_longer_count_for_an_hour(
    integration: Integration, iat: int, exp: int
) -> None:
    assert (await integration.ask(at(integration, iat=iat, exp=exp).text)).status == 200


async def test_fidelity_assertions_that_live_longer_are_remembered_for_an_hour(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, assertions="once") as api:
        one = await integrate(api)
        text = at(one, exp=4000).text
        assert [(await one.ask(text)).status for _ in range(2)] == [200, 400]


@pytest.mark.asyncio(loop_scope="module")
async def test_s9_an_unknown_key_a_bad_signature_and_an_unknown_user_get_the_same_answer(
    integration: Integration,
) -> None:
    good = integration.assertion()
    bad = [
        good.with_(iss=str(uuid.uuid4())),
        Assertion(good.claims, key=private_key("stranger")),
        good.with_(sub=str(uuid.uuid4())),
    ]
    replies = [await integration.ask(one.text) for one in bad]
    assert len({(one.status, one.body) for one in replies}) == 1
    names = [{*one.headers} - {"Date"} for one in replies]
    assert names[0] == names[1] == names[2]


async def test_s9_an_assertion_is_used_once_unless_the_server_is_an_emulator(
    tmp_path: Path,
) -> None:
    for folder, times, settings in (
        ("emulator", 2, Settings(egress="emulator")),
        ("chosen", 1, Settings(egress="emulator", assertions="once")),
        ("serve", 1, Settings()),
        ("public", 2, Settings(assertions="repeatedly")),
    ):
        chosen = {"egress": settings.egress, "assertions": settings.assertions}
        async with serving(tmp_path / folder, **chosen) as api:
            one = await integrate(api)
            text = one.assertion().text
            replies = [await one.ask(text) for _ in range(2)]
            assert [reply.status for reply in replies].count(200) == times
            if times == 1:
                assert replies[1].json["error"] == "invalid_grant"
                assert "used before" in replies[1].json["error_description"]
                # The same words signed again in the same way are the same assertion.
                head, claims, signature = text.split(".")
                again = f"{head}.{claims}.{signature[:-1]}{_twin(signature[-1])}"
                assert (await one.ask(again)).status == 400


def _twin(letter: str) -> str:
    """The letter that decodes to the same bytes at the end of 256 bytes: two bits are unused."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[letters.index(letter) ^ 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "RSA public key in PEM"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "RSA public key in PEM"),
        (public_pem(private_key("short", 1024)), "has 1024 bits"),
        ("-----BEGIN RSA PRIVATE KEY-----", "That is a private key"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "RSA public key in PEM",
        ),
    ],
    ids=["nothing", "garbage", "1024 bits", "private", "elliptic"],
)
def test_s9_only_rsa_public_keys_of_enough_bits_are_registered(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        public_key(text)


def test_s9_a_public_key_is_kept_in_one_form() -> None:
    pem = public_pem(private_key())
    assert public_key(f"\n  {pem}\n") == pem
