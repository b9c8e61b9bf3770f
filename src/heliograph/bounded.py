"""Memory that is bounded: what was used last is kept, within so many entries and so many bytes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

ENTRY_BYTES: Final = 256
"""What an entry takes beside its key and its value."""

LARGEST: Final = 64 * 1024
"""Bytes above which nothing is kept, where a place does not say otherwise."""

_FLAT: Final = frozenset({str, bytes, int, float, bool, type(None)})


class Bounded(Generic[K, V]):
    """A memory that forgets what was used longest ago (LRU): `get` and setting are using.

    What alone is larger than an entry may be is not kept. A value that grows is counted anew when
    it is set again. Not for several threads.
    """

    def __init__(self, most: int, most_bytes: int, largest: int = LARGEST) -> None:
        """At most `most` entries, and about `most_bytes` bytes of keys and values.

        An entry takes about `largest` bytes at the most.
        """
        self._most = most
        self._most_bytes = most_bytes
        self._largest = largest
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()  # what was used last is last
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """About how many bytes the entries take."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        """The keys; what was used last is last."""
        return iter(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The value; None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def __setitem__(self, key: K, value: V) -> None:
        self.keep(key, value, size_of(value))

    def keep(self, key: K, value: V, size: int) -> None:
        """Set a value whose bytes are known: its parts were counted when they came."""
        self.pop(key)
        size += ENTRY_BYTES + size_of(key)
        if size > self._largest:
            return
        self._entries[key] = value, size
        self._bytes += size
        while len(self._entries) > self._most or self._bytes > self._most_bytes:
            self.pop(next(iter(self._entries)))

    def pop(self, key: K) -> V | None:
        """Forget a value; None where there was none."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        value, size = entry
        self._bytes -= size
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._bytes = 0


def size_of(value: object) -> int:
    """About how many bytes a value takes with all that it holds.

    What is held twice counts twice. For the frozen values of the model: without cycles.
    """
    size, rest = 0, [value]
    while rest:
        part = rest.pop()
        size += sys.getsizeof(part)
        if type(part) in _FLAT:
            continue
        if isinstance(part, tuple | list | set | frozenset):
            rest += part
        elif isinstance(part, Mapping):
            rest += part.keys()
            rest += part.values()
        else:
            rest += [getattr(part, name, None) for name in getattr(part, "__slots__", ())]
    return size
