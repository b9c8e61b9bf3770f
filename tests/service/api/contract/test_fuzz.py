"""Calls made up from the OpenAPI document never break the server or leave the document.

`uv run python -m tests.fuzzing` makes 2,000 of each operation and shows what came back.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from heliograph.api.contract.openapi import document
from tests.fuzzing import Fuzzer, fuzzing
from tests.operations import BASE_URI, all_operations

EXAMPLES = int(os.environ.get("HELIOGRAPH_EXAMPLES", "100"))

PATHS = [
    (path, f"{method.upper()} {path}")
    for path, here in document(all_operations(), BASE_URI)["paths"].items()
    for method in here
]


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    with fuzzing(tmp_path_factory.mktemp("fuzz")) as opened:
        yield opened


@pytest.mark.parametrize("label", [label for _, label in PATHS])
def test_made_up_calls_are_answered_as_documented(fuzzer: Fuzzer, label: str) -> None:
    tally = fuzzer.run(label, EXAMPLES, seed=1)
    assert tally.failures == {}
    assert tally.calls >= EXAMPLES / 2
    assert tally.statuses[401]
    assert fuzzer.server.answers


def test_an_answer_off_its_document_is_found(fuzzer: Fuzzer) -> None:
    """The checks do not pass whatever comes: a status and a field that are not documented."""
    wrong = copy.deepcopy(fuzzer.document)
    path, label = next(
        one for one in PATHS if one[1].startswith("GET") and one[0].endswith("/connect")
    )
    wrong["paths"][path]["get"]["responses"].pop("401")
    schemas = wrong["components"]["schemas"]
    del schemas["ConnectConfigResults"]["properties"]["totalRecords"]
    schemas["ErrorDetails"]["properties"]["message"] = {"type": "integer"}
    found = replace(fuzzer, document=wrong).run(label, 50, seed=1).failures
    assert {kind[:3] for kind in found} >= {"200", "401", "404"}
    told = "".join(found.values())
    assert "Undocumented status code" in told
    assert "not documented: totalRecords" in told
    assert 'is not of type "integer"' in told


def test_the_server_of_made_up_calls_speaks_to_this_machine_alone(fuzzer: Fuzzer) -> None:
    made = fuzzer.server.call(
        "POST", "", {"name": "far", "urlToPublishTo": "https://listener.example.com/hook"}
    ).json
    sent = fuzzer.server.call("POST", f"{made['connectId']}/test").json
    assert (sent["success"], "responseStatus" in sent) == ("false", False)
    assert "not on this machine" in sent["error"] or sent["error"].startswith("dns")
