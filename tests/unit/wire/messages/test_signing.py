"""Signatures, against values that `openssl dgst -sha256 -hmac` gave."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.model.accounts import HmacKey, Secret
from heliograph.wire.messages.signing import (
    headers,
    new_secret,
    signature,
    standard_headers,
    verify,
)
from tests.support import START

EVENT = b'{"event":"envelope-sent"}'
UMBRELLA = Secret("schlüssel-☂")
SIGNED = "jx0lMlm/JYLwJe92xGGezhxLQI9q9/GuNB1Kfop/zYk="


def key(text: str) -> HmacKey:
    return HmacKey(f"id-of-{text}", Secret(text), START)


@pytest.mark.parametrize(
    ("secret", "message", "expected"),
    [
        # RFC 4231, test case 2.
        ("Jefe", b"what do ya want for nothing?", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="),
        ("k", b"", "i7mQxAp9YcuXWXqUISUCW+UKyL63RDbjc1uYiTp/ZiA="),
        ("k", b"\x00\xff\r\n", "phdVRGJ6uD4Xir+l8bQ1pxPG/yse0jK0x9tKmIl8A7o="),
        ("schlüssel-☂", EVENT, SIGNED),
    ],
)
def test_s6_the_signature_is_what_openssl_computes(
    secret: str, message: bytes, expected: str
) -> None:
    assert signature(Secret(secret), message) == expected


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_s6_the_signature_covers_exactly_the_bytes(secret: str, message: bytes) -> None:
    mac = hmac.new(secret.encode("utf-8"), message, sha256).digest()
    assert base64.b64decode(signature(Secret(secret), message)) == mac
    assert verify(Secret(secret), message, base64.b64encode(mac).decode())
    assert not verify(Secret(secret), message + b"\n", base64.b64encode(mac).decode())


@given(st.binary(), st.binary())
def test_s6_a_message_in_two_pieces_is_signed_as_in_one(head: bytes, rest: bytes) -> None:
    keys = [key("k1"), key("k2")]
    assert headers(keys, (head, rest)) == headers(keys, head + rest)
    together = standard_headers(keys, "msg_1", START, head + rest)
    assert standard_headers(keys, "msg_1", START, (head, rest)) == together


def test_s6_the_key_is_the_text_itself_and_not_what_its_base64_stands_for() -> None:
    text = base64.b64encode(b"raw key").decode()
    assert signature(Secret(text), EVENT) != signature(Secret("raw key"), EVENT)


def test_s6_five_keys_give_five_headers_in_the_order_of_the_keys() -> None:
    assert headers([key(f"k{number}") for number in range(1, 6)], b"m") == [
        ("X-Authorization-Digest", "HMACSHA256"),
        ("X-DocuSign-Signature-1", "uvoC4Tus+8Jj3ZCFgl92efmwxS3+beRAtXRsuMrPfH8="),
        ("X-DocuSign-Signature-2", "mHtZHMXC265CZrudOEgGJoxl7GseQNi+S/NazflhYi8="),
        ("X-DocuSign-Signature-3", "Z4oobYNLn1m3nFkzEGo++JxwPWGSm9/oaM5tXI+LDeI="),
        ("X-DocuSign-Signature-4", "aN3iBWC3Qeu7h2nb7UlXIolg5Kj3anpBIJGEXilEGrE="),
        ("X-DocuSign-Signature-5", "8zLCTHhQfjSxCwzYfwl9Knxpky8SwSLnIQtJgvFXLgs="),
    ]


def test_without_keys_there_is_no_signature_header_at_all() -> None:
    assert headers([], EVENT) == []


def test_s6_the_true_signature_verifies() -> None:
    assert verify(UMBRELLA, EVENT, SIGNED)


@pytest.mark.parametrize(
    "given_signature",
    [
        "",
        SIGNED[:-1],
        SIGNED[:1],
        SIGNED + "=",
        SIGNED + "A",
        SIGNED + "\n",
        " " + SIGNED,
        SIGNED + "," + SIGNED,
        SIGNED.lower(),
        SIGNED.rstrip("="),
        # The same bytes in another encoding are not what DocuSign's scheme sends.
        SIGNED.replace("/", "_").replace("+", "-"),
        base64.b64decode(SIGNED).hex(),
        base64.b32encode(base64.b64decode(SIGNED)).decode(),
        # Other bits in base64's padding: decodes to the same bytes.
        SIGNED[:-2] + "l=",
        SIGNED.replace("j", "\u0458"),
        "☂" * 44,
        "\ud800",
        "\x00" * 44,
        signature(UMBRELLA, EVENT + b" "),
        signature(Secret("schlüssel-☂ "), EVENT),
    ],
)
def test_s6_anything_but_the_exact_signature_is_refused(given_signature: str) -> None:
    assert not verify(UMBRELLA, EVENT, given_signature)


@given(st.text())
def test_s6_verify_answers_for_any_text_and_never_raises(text: str) -> None:
    assert verify(UMBRELLA, EVENT, text) == (text == SIGNED)


def test_s6_a_new_secret_has_256_bits_and_is_never_the_same() -> None:
    made = {new_secret().reveal() for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.b64decode(text, validate=True)) for text in made} == {32}
