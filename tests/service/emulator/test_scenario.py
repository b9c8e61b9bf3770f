"""Recipients of a scenario act by themselves when their time has come."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heliograph.emulator.scenario import Unreadable, read
from tests.docs.pages import DOCS
from tests.emulating import definition, emulating, notification, told
from tests.listener import LoopbackListener


async def test_the_scenario_of_the_page_is_played(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    page = (DOCS / "reference" / "emulator.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    async with emulating(tmp_path, read(text)) as emulated:
        envelope_id = await emulated.create(definition(notification(listener)))
        emulated.clock.advance(2 * 3600)
        assert (await told(listener, 6))[3:] == [
            "recipient-delivered",
            "recipient-completed",
            "recipient-sent",
        ]
        assert await emulated.status(envelope_id) == "sent"
        emulated.clock.advance(3 * 86_400)
        assert (await told(listener, 10))[6:] == [
            "recipient-delivered",
            "envelope-delivered",
            "recipient-declined",
            "envelope-declined",
        ]
        signer = listener.received[-1].message["data"]["envelopeSummary"]["recipients"]["signers"]
        assert signer[1]["declinedReason"] == "Too dear"


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        "[[recipient]]\nemail = '*'",
        "[[recipient]]\nemail = '*'\ndoes = 'dance'",
        "[[recipient]]\nemail = '*'\ndoes = 'sign'\nafter = 'soon'",
        "[[recipient]]\nemail = '*'\ndoes = 'sign'\nbefore = '2h'",
    ],
)
def test_a_file_that_is_no_scenario_is_refused(wrong: str) -> None:
    with pytest.raises(Unreadable):
        read(wrong)
