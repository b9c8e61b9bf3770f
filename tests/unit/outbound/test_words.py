"""Whose fault it is that a listener was not reached."""

from __future__ import annotations

import errno
import socket

import pytest

from heliograph.model.deliveries import Phase
from heliograph.outbound.words import is_ours


@pytest.mark.parametrize(
    "code", [errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE]
)
def test_r9_no_route_and_no_descriptor_are_our_own_fault_while_connecting(code: int) -> None:
    assert is_ours(Phase.CONNECT, OSError(code, "x"))
    assert not is_ours(Phase.HEADERS, OSError(code, "x"))


@pytest.mark.parametrize(
    "code", [errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH]
)
def test_r9_what_the_listeners_side_does_is_not(code: int) -> None:
    assert not is_ours(Phase.CONNECT, OSError(code, "x"))


def test_r9_a_name_that_is_not_there_is_the_listeners_and_a_dead_resolver_is_ours() -> None:
    assert not is_ours(Phase.DNS, socket.gaierror(socket.EAI_NONAME, "x"))
    assert is_ours(Phase.DNS, socket.gaierror(socket.EAI_AGAIN, "x"))
    assert not is_ours(Phase.DNS, OSError("x"))
