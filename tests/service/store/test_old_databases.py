"""R16: databases that an older version made, opened, served and sent from by this one.

`tests/old` has them, and what that version answered and sent. Where an answer changes on purpose,
change `expected-*.json` by hand: made anew they would say nothing about older versions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.old import life, look
from tests.old.installation import HERE, Installation

pytestmark = pytest.mark.timeout(300)  # six servers start; another may be building beside them

TIMELESS = re.compile(
    r"/(accounts|connect|secret|oauth|client_certificate|groups|users|applications|consents)"
    r"(\?.*)?$|/groups/\d+/users$|^configurations as XML$"
)
"""What does not change while nobody changes it."""


@pytest.fixture
def place(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Installation:
    """Where the old installation of each engine is to be unpacked."""
    url = request.getfixturevalue("empty_database_url") if engine == "postgres" else ""
    return Installation(engine, tmp_path, url)


def expected(engine: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"expected-{engine}.json").read_text())
    return found


def test_r16_a_database_of_adad52a_answers_and_sends_as_it_did_then_and_400_days_later(
    place: Installation,
) -> None:
    then, now = expected(place.engine), life.live(place)
    moved = now.pop("made")["moved"] - then.pop("made")["moved"]
    assert life.differences(then, now, moved)[:20] == []
    # What must not be true of both by mistake.
    assert len(then["sent"]) == 26
    assert {one["client"] for one in now["sent"]["/mutual"]} == {"client of old"}
    assert {tuple(one["signed by keys"]) for one in now["sent"]["/all"]} == {(0, 1)}


def test_r16_a_database_of_adad52a_opens_as_the_file_or_dump_that_it_is(
    place: Installation,
) -> None:
    """Nothing of it was moved in time: only what is the same at any time can be compared."""
    then = {
        path: answer
        for path, answer in expected(place.engine)["looked at"].items()
        if TIMELESS.search(path)
    }
    assert len(then) > 15
    place.unpack()
    made = int(expected(place.engine)["made"]["moved"])
    with place.serving() as server:
        now = look.everything(server, life.shown_of(place.engine))
        assert server.call("GET", "/readyz").status == 200
    found = {path: now.get(path) for path in then}
    assert life.differences(then, found, -made)[:20] == []
