"""Forms that are not as a page has made them, or whose rows have gone meanwhile."""

from __future__ import annotations

import pytest

from tests.listener import LoopbackListener
from tests.server import Reply
from tests.service.console.person import Person
from tests.support import published


@pytest.fixture
async def at_failures(ada: Person, listener: LoopbackListener) -> Person:
    """Ada, signed in, with three failures that wait for a pause to end."""
    await ada.api.configure(f"{listener.base}/x", pausePublish="true")
    events = [published(envelope_id=f"envelope-{number}") for number in range(3)]
    assert (await ada.api.call("POST", "events", events)).status == 202
    await ada.sign_in()
    return ada


async def failures(ada: Person) -> list[str]:
    listed = (await ada.api.call("GET", "failures")).json["failures"]
    return [one["failureId"] for one in listed]


async def post(ada: Person, path: str, *ids: str, **fields: str) -> Reply:
    named = [("form_token", await ada.form_token()), *fields.items()]
    return await ada.post(path, [*named, *(("ids", one) for one in ids)])


@pytest.mark.parametrize("action", ["delete", "republish"])
@pytest.mark.parametrize("which", [{}, {"which": "rows"}], ids=["nothing", "rows"])
async def test_a_form_without_rows_does_not_mean_all(
    at_failures: Person, action: str, which: dict[str, str]
) -> None:
    done = await post(at_failures, "failures/do", action=action, count="1", **which)
    assert done.status == 303
    assert "Nothing+was+selected" in done.headers["Location"]
    assert len(await failures(at_failures)) == 3
    assert not (await at_failures.api.call("GET", "republish_jobs")).json.get("republishJobs")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("failures/do", {"which": "all"}),
        ("failures/do", {"which": "all", "count": "many"}),
        ("failures/do", {"which": "all", "count": "9" * 5000}),
        ("listeners/1/switch", {}),
        ("listeners/1/switch", {"change": "pausePublish"}),
        ("listeners/1/switch", {"change": "urlToPublishTo=http://elsewhere.example/"}),
    ],
)
async def test_a_form_that_no_page_has_made_is_refused_and_changes_nothing(
    at_failures: Person, path: str, fields: dict[str, str]
) -> None:
    before = (await at_failures.api.call("GET", "1")).json
    refused = await post(at_failures, path, action="delete", **fields)
    assert refused.status == 400
    assert b"Nothing was changed" in refused.body
    assert len(await failures(at_failures)) == 3
    assert (await at_failures.api.call("GET", "1")).json == before
