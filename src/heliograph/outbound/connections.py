"""A connection to a listener: a message goes out over it, and its answer comes back.

The socket is ours, whichever the event loop: its transports give a connection up with the first
write that fails, and drop what they have not read yet. Here what has come counts, whatever became
of the message: a listener may answer before it has read all of it, and close (RFC 9112, 9.5).
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from heliograph.failpoints import FailpointHit, failpoint
from heliograph.model.deliveries import Phase
from heliograph.outbound.answers import Malformed
from heliograph.outbound.heads import Head
from heliograph.outbound.tls import Secure
from heliograph.outbound.trip import Trip

_READ: Final = 16 * 1024
"""Bytes read at once."""

_READS: Final = 4
"""Reads in one turn of the loop: TLS has records that bring no data and cost much, and a listener
may send them faster than they are read."""

_PIECE: Final = 256 * 1024
"""Bytes of a large message written at once; then others have their turn of the loop."""

_MOST_UNSENT: Final = 2 * _PIECE
"""Bytes that wait for room: a piece, and what TLS replies to who reads none of it."""

_ODD_WITHIN: Final = 5.0
"""Seconds that the body of an answer with an odd head has: it may not end where that says."""


class Connection:
    """One connection, which is idle or carries one exchange; `closed` once it is over.

    It has one timer, for either.
    """

    def __init__(
        self,
        connected: socket.socket,
        secure: Secure | None,
        ended: Callable[[Connection, bool], None],
    ) -> None:
        """Take over a socket that does not block, over which `secure` has shaken hands.

        `ended` is told of the end, and whether the listener has ended an idle connection.
        """
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._secure = secure
        self._ended = ended
        self._trip: Trip | None = None
        self._answered: asyncio.Future[Head] = self._loop.create_future()
        self._unsent: bytes | memoryview = b""
        self._pieces: list[bytes | memoryview] = []  # what goes out next is last
        self._awaits_room = False
        self._reads_on = False
        self._broken: OSError | None = None
        self._due = self._rings = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(connected, self._readable)

    async def exchange(self, trip: Trip, parts: Sequence[bytes | memoryview], until: float) -> Head:
        """Send a message and read its answer into the trip, `until` that time of the loop.

        Gives the answer's head. The connection is closed then, unless the answer keeps it.

        Raises:
            TimeoutError: the time was over.
            answers.Malformed: what came is no answer.
            ssl.SSLError: TLS failed; the other side may not like our certificate.
            OSError: the connection ended before the answer did.
        """
        self._trip = trip
        self._answered = self._loop.create_future()
        self._wake_by(until)
        trip.phase = Phase.WRITE
        self._pieces = _pieces(parts)
        keeps = False
        try:
            self._write()
            if self._secure is not None and not trip.reused:  # what came with its handshake
                self._decrypt(self._secure, b"")
            head = await self._answered
            keeps = trip.answer.keeps and not self._unsent and not self._pieces
            return head
        finally:
            self._trip = None
            if not keeps:
                self.close()

    def rest(self, seconds: float) -> None:
        """Be idle for so long at the most."""
        self._wake_by(self._loop.time() + seconds)

    def is_alive(self) -> bool:
        """Whether an idle connection may be used again.

        Nothing is due on it. If there is something to read, then that is the listener's close
        (or a breach of HTTP), even if the loop has not seen it yet. Only TLS may have something
        to say of its own, and where there is no end of that, nobody sees what is behind it.
        """
        if not self._read():
            self._lost(None)
        return not self.closed

    def close(self) -> None:
        """End the connection, if it has not ended yet."""
        self._close(by_listener=False)

    def _readable(self) -> None:
        if not self._reads_on:
            self._read_on()

    def _read_on(self) -> None:
        """Read in this turn, and if there is more also in the next: the loop may not tell again."""
        self._reads_on = not self._read()
        if self._reads_on:
            self._loop.call_soon(self._read_on)

    def _read(self) -> bool:
        """Read what a turn has time for; gives whether that was all, or all that is wanted now."""
        # Until there is no more or the answer is whole: of a connection that was reset uvloop
        # tells once, and drops it.
        for _ in range(_READS):
            if self.closed:
                return True
            try:
                came = self._socket.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                self._lost(error)
                return True
            if not came:
                self._lost(None)
            elif self._secure is None:
                self._take(came)
            else:
                self._decrypt(self._secure, came)
            if self._trip is not None and self._answered.done():
                return True
        return self.closed

    def _decrypt(self, secure: Secure, came: bytes) -> None:
        plain, end = secure.decrypt(came)
        if plain:
            self._take(plain)
        said = secure.unsent()
        if said:
            self._unsent = bytes(self._unsent) + said
        if len(self._unsent) > _MOST_UNSENT:
            self._lost(None)
        elif (said or self._pieces) and not self.closed:  # a handshake within the connection
            self._write()
        if end is not None:
            self._lost(None if isinstance(end, ssl.SSLZeroReturnError) else end)

    def _take(self, came: bytes) -> None:
        trip = self._trip
        if trip is None:  # nobody has asked
            self._lost(None)
            return
        wrong = None
        try:
            trip.answer.feed(came)
        except Malformed as error:
            wrong = error
        head = trip.answer.head
        if head is not None and trip.phase is not Phase.BODY:
            trip.phase = Phase.BODY
            self._pass("send.headers")
            if not head.plain:
                self._wake_by(min(self._due, self._loop.time() + _ODD_WITHIN))
        if wrong is not None:
            self._fail(wrong)
        elif head is not None and trip.answer.whole:
            self._finish(head)

    def _lost(self, error: OSError | None) -> None:
        """The listener has ended the connection, or TLS has."""
        trip = self._trip
        self._close(by_listener=trip is None or trip.answer.keeps)
        if trip is None:
            return
        head = trip.answer.end()
        if head is None:
            self._fail(error or self._broken or ConnectionError())
        else:
            self._finish(head)

    def _pass(self, place: str) -> None:
        try:
            failpoint(place)
        except FailpointHit as error:
            self._fail(error)

    def _finish(self, head: Head) -> None:
        if not self._answered.done():
            self._answered.set_result(head)

    def _fail(self, error: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(error)

    def _write(self) -> None:
        """Send what goes out now, and the rest when there is room for it."""
        try:
            if not self._unsent and self._pieces:
                piece = self._pieces[-1]
                self._unsent = piece if self._secure is None else self._secure.encrypt(piece)
                self._pieces.pop()
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except ssl.SSLWantReadError:  # a handshake comes first, which what comes goes on with
            self._await_room(False)
            return
        except ssl.SSLError as error:
            self._lost(error)
            return
        except OSError as error:  # what has come counts: it is read to its end
            self._broken = error
            self._await_room(False)
            return
        left = bool(self._unsent or self._pieces)
        self._await_room(left)
        if not left and self._trip is not None and self._trip.phase is Phase.WRITE:
            self._trip.phase = Phase.HEADERS
            self._pass("send.written")

    def _await_room(self, wanted: bool) -> None:
        if wanted is not self._awaits_room:
            self._awaits_room = wanted
            if wanted:
                self._loop.add_writer(self._socket, self._write)
            else:
                self._loop.remove_writer(self._socket)

    def _wake_by(self, due: float) -> None:
        """Have the timer ring at that time of the loop; it may ring before, for nothing."""
        self._due = due
        if due < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._ring)
            self._rings = due

    def _ring(self) -> None:
        self._timer, self._rings = None, math.inf
        if self._loop.time() < self._due:
            self._wake_by(self._due)
        elif self._trip is None:
            self.close()
        elif self._trip.answer.odd:
            self._lost(None)
        else:
            self._fail(TimeoutError())

    def _close(self, *, by_listener: bool) -> None:
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._await_room(False)
        self._loop.remove_reader(self._socket)
        if self._secure is not None and not self._unsent:
            with suppress(OSError):
                self._socket.send(self._secure.goodbye())
        self._socket.close()
        self._ended(self, by_listener)


def _pieces(parts: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """A message cut into what is written at once, from its end."""
    pieces: list[bytes | memoryview] = []
    for part in parts:
        if len(part) <= _PIECE:
            pieces.append(part)
        else:
            view = memoryview(part)
            pieces += [view[start : start + _PIECE] for start in range(0, len(part), _PIECE)]
    pieces.reverse()
    return pieces
