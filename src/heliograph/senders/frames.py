"""What a server and a sender process say to each other: frames of MessagePack, length first."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace
from typing import Final

import msgspec

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Answer, Fault, Proofs

_LENGTH: Final = 4
"""Bytes of a frame's length."""


class Setup(msgspec.Struct, array_like=True, frozen=True):
    """The first frame: where listeners may be, how long a post may take, how many run at once."""

    profile: str
    networks: list[str]
    hosts: list[str]
    total: float
    in_flight: int


class Listener(msgspec.Struct, array_like=True, frozen=True):
    """A listener that posts name from here on; `packed` is what `pack` made."""

    number: int
    packed: bytes


class Posting(msgspec.Struct, array_like=True, frozen=True):
    """A post for the process to make; see `delivery.attempt.Sender`."""

    number: int
    listener: int
    headers: list[tuple[str, str]]
    body: bytes
    last: bool


class Handed(msgspec.Struct, array_like=True):
    """To the process, in this order: forget all listeners, know these, post, and post no more."""

    forget: bool = False
    listeners: list[Listener] = []
    posts: list[Posting] = []
    cancelled: list[int] = []


class CameBack(msgspec.Struct, array_like=True, frozen=True):
    """What came of a post: one of the two, or how its attempt broke."""

    number: int
    answer: Answer | None = None
    fault: Fault | None = None
    broke: str | None = None


_ENCODER: Final = msgspec.msgpack.Encoder()
SETUP: Final = msgspec.msgpack.Decoder(Setup)
HANDED: Final = msgspec.msgpack.Decoder(Handed)
CAME_BACK: Final = msgspec.msgpack.Decoder(list[CameBack])


def pack(configuration: ConnectConfiguration, proofs: Proofs) -> bytes:
    """What a post needs of its listener, for a process of our own and nobody else: secrets too.

    The keys of messages stay here: those are signed before they are handed over. So does what the
    configuration was read from.
    """
    needed = replace(configuration, document=b"", secrets={}), replace(proofs, keys=())
    return pickle.dumps(needed, pickle.HIGHEST_PROTOCOL)


def unpack(packed: bytes) -> tuple[ConnectConfiguration, Proofs]:
    """What `pack` left of what it was given."""
    configuration, proofs = pickle.loads(packed)  # noqa: S301 (our own server's)
    return configuration, proofs


def write(writer: asyncio.StreamWriter, frame: Setup | Handed | list[CameBack]) -> None:
    """Send a frame."""
    body = _ENCODER.encode(frame)
    writer.write(len(body).to_bytes(_LENGTH, "big") + body)


async def read(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame, for one of the decoders; None where the other side is gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        return None
