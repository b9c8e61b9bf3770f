"""The reference says all there is to say: settings, error codes, operations, links."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from heliograph import errors
from heliograph.bench.names import SCENARIOS
from heliograph.model.audit import Action
from heliograph.model.causes import CAUSES, Cause
from heliograph.model.deliveries import Phase
from heliograph.settings import Settings, environment_name
from heliograph.wire.rest import ConnectCustomConfiguration, ConnectEventData
from tests.operations import NAMES, all_operations

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def read(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_each_setting_is_documented_with_its_default() -> None:
    text = read("settings.md")
    for setting in fields(Settings):
        (row,) = [
            line for line in text.splitlines() if f"`{environment_name(setting.name)}`" in line
        ]
        assert f"`--{setting.name.replace('_', '-')}`" in row
        assert f"`{setting.default if setting.default != '' else '(none)'}`" in row
        assert setting.metadata["about"] in row


def test_each_error_code_is_documented_as_the_tree_has_it_and_no_other() -> None:
    row = r"^\| `(\w+)` \| (\d+) \| (\w+) \| .+ \| (.+) \|$"
    documented = re.findall(row, read("errors.md"), re.MULTILINE)
    assert len(documented) == len(re.findall(r"^\| `", read("errors.md"), re.MULTILINE))
    assert set(documented) == {
        (one.code, str(one.status), "DocuSign" if one.docusign else "Heliograph", one.advice)
        for one in errors.answers()
    }


def test_each_operation_is_documented() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    for operation in all_operations():
        assert f"`{operation.operation_id}`" in text, operation.operation_id


def test_each_parameter_of_a_listing_and_each_phase_is_documented() -> None:
    text = read("logs-and-failures.md")
    for name in (*NAMES, *(phase.value for phase in Phase)):
        assert f"`{name}`" in text, name


def test_the_causes_that_are_documented_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| `([a-z ]+)` \| (.+) \|$", read("causes.md"), re.MULTILINE)
    documented = {
        Cause(phase, what) for phase, whats in rows for what in re.findall("`(.+?)`", whats)
    }
    numbered = {cause for cause in CAUSES if re.match(r"HTTP \d\d\d", cause.what)}
    assert documented - {Cause("status", "HTTP 503")} == CAUSES - numbered


def test_the_actions_of_the_audit_that_are_documented_are_those_that_there_are() -> None:
    _, _, actions = read("audit.md").partition("## Actions")
    assert set(re.findall(r"`(\w+\.\w+)`", actions)) == {action.value for action in Action}


def test_each_field_of_a_configuration_is_documented() -> None:
    text = read("configurations.md")
    for struct, prefix in ((ConnectCustomConfiguration, ""), (ConnectEventData, "eventData.")):
        for field in msgspec.structs.fields(struct):
            if field.encode_name not in ("connectId", "eventData"):
                assert re.search(rf"`{prefix}{field.encode_name}`", text), field.encode_name


def test_each_scenario_of_the_bench_is_documented_as_the_report_has_it() -> None:
    text = (ROOT / "docs" / "how-to" / "measure.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    assert documented == list(SCENARIOS.items())


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: page.name,
)
def test_no_link_between_pages_is_broken(page: Path) -> None:
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


def test_each_promise_that_is_listed_has_a_test_that_names_it() -> None:
    promised = set(re.findall(r"^\| ([RS]\d+) \|", read("guarantees.md"), re.MULTILINE))
    tests = " ".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    proved = {found.upper() for found in re.findall(r"_([rs]\d+)(?=_)", tests)}
    assert promised - proved == set()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/how-to/measure.md"])
def test_each_benchmark_of_the_checkout_is_listed_and_no_other(page: str) -> None:
    listed = re.findall(
        r"^(?:\$|\| `)\s?uv run python -m tests\.bench\.(\w+)",
        (ROOT / page).read_text(),
        re.MULTILINE,
    )
    runnable = [
        file.stem
        for file in (ROOT / "tests" / "bench").glob("*.py")
        if 'if __name__ == "__main__":' in file.read_text(encoding="utf-8")
    ]
    assert sorted(listed) == sorted(runnable)
