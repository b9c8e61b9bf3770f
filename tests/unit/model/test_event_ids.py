"""Ids of events that come without one."""

from __future__ import annotations

import subprocess
import sys
import uuid

from heliograph.model.event_ids import new_event_id


def test_r2_no_id_comes_twice_and_each_is_a_random_uuid() -> None:
    ids = [new_event_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    for event_id in ids:
        found = uuid.UUID(event_id)
        assert (str(found), found.version, found.variant) == (event_id, 4, uuid.RFC_4122)


FORKED = """
import os
from heliograph.model.event_ids import new_event_id

new_event_id()  # others are drawn with it
if child := os.fork():
    os.waitpid(child, 0)
print(*[new_event_id() for _ in range(3)])
"""


def test_r2_a_process_that_was_forked_gives_ids_of_its_own() -> None:
    command = [sys.executable, "-c", FORKED]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert len(said) == len(set(said)) == 6
