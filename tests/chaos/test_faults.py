"""The faults that every commit must stand; `python -m tests.chaos.command full` runs more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos import bench
from tests.chaos.bench import Result
from tests.chaos.catalogue import Context, NotHere, catalogue, the

SEED = int(os.environ.get("HELIOGRAPH_CHAOS_SEED", "20261123"))
PATIENCE = 8.0
"""The gate shares its machine: how fast the server recovers is for the command to judge."""

KILLS = os.environ.get("HELIOGRAPH_CHAOS_KILLS")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PATIENCE", PATIENCE)


def on_each_kind(id_: str) -> pytest.MarkDecorator:
    """One test for each installation that the fault has cycles for in the quick selection."""
    return pytest.mark.parametrize("kind", list(the(id_).quick))


async def run(id_: str, kind: str, folder: Path) -> Result:
    """The fault, with its figures printed (pytest shows them with -s)."""
    one = the(id_)
    cycles = int(KILLS) if KILLS and (id_, kind) == ("F1", "sqlite-1") else one.quick[kind]
    try:
        result = await one.run(Context(kind, cycles, SEED, folder))
    except NotHere as reason:
        pytest.skip(f"{id_} on {kind} is not done: {reason}")
    print(f"{id_} {kind}: {result}")  # noqa: T201
    return result


async def holds(id_: str, kind: str, folder: Path) -> None:
    result = await run(id_, kind, folder)
    assert result.problems == [], result


@on_each_kind("F1")
@pytest.mark.timeout(400)
async def test_f1_r1_r3_r4_r5_kill_9_under_load_loses_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "sqlite-1":  # nearer to the promise of 3 s, which the command holds it to
        monkeypatch.setattr(bench, "PATIENCE", 3.0)
    await holds("F1", kind, tmp_path)


@on_each_kind("F2")
async def test_f2_r1_r3_r4_r5_killed_at_failpoints_loses_nothing(kind: str, tmp_path: Path) -> None:
    await holds("F2", kind, tmp_path)


@on_each_kind("F4")
async def test_f4_r8_a_node_that_was_taken_for_dead_settles_nothing(
    kind: str, tmp_path: Path
) -> None:
    await holds("F4", kind, tmp_path)


@on_each_kind("F35")
@pytest.mark.timeout(300)
async def test_f35_r1_r3_r4_r8_one_of_several_processes_that_is_killed_loses_nothing(
    kind: str, tmp_path: Path
) -> None:
    await holds("F35", kind, tmp_path)


@on_each_kind("F36")
@pytest.mark.timeout(200)
async def test_f36_r4_r5_sender_processes_that_end_lose_nothing(kind: str, tmp_path: Path) -> None:
    await holds("F36", kind, tmp_path)


@on_each_kind("F37")
@pytest.mark.timeout(400)
async def test_f37_r24_kills_in_the_middle_of_jobs_lose_nothing_and_ask_for_nothing_twice(
    kind: str, tmp_path: Path
) -> None:
    await holds("F37", kind, tmp_path)


@on_each_kind("F22")
@pytest.mark.timeout(200)
async def test_f22_r15_sigterm_under_load_loses_and_repeats_nothing(
    kind: str, tmp_path: Path
) -> None:
    await holds("F22", kind, tmp_path)


@on_each_kind("F22b")
@pytest.mark.timeout(300)
async def test_f22b_r15_every_signal_under_load_loses_and_repeats_nothing(
    kind: str, tmp_path: Path
) -> None:
    await holds("F22b", kind, tmp_path)


@on_each_kind("F23")
async def test_f23_r20_a_second_server_on_the_same_file_refuses(kind: str, tmp_path: Path) -> None:
    await holds("F23", kind, tmp_path)


@on_each_kind("F28")
async def test_f28_r17_a_delivery_that_ends_the_process_is_parked(
    kind: str, tmp_path: Path
) -> None:
    await holds("F28", kind, tmp_path)


@on_each_kind("F3")
async def test_f3_r1_r2_r4_a_power_cut_takes_nothing_acknowledged(
    kind: str, tmp_path: Path
) -> None:
    await holds("F3", kind, tmp_path)


@on_each_kind("F5")
async def test_f5_r11_a_database_that_stands_still_under_load(kind: str, tmp_path: Path) -> None:
    await holds("F5", kind, tmp_path)


@on_each_kind("F6")
async def test_f6_r11_a_database_that_restarts_under_load(kind: str, tmp_path: Path) -> None:
    await holds("F6", kind, tmp_path)


@on_each_kind("F8")
async def test_f8_r8_a_node_that_is_cut_off_settles_nothing_taken_from_it(
    kind: str, tmp_path: Path
) -> None:
    await holds("F8", kind, tmp_path)


@on_each_kind("F10")
async def test_f10_r11_a_database_without_a_free_connection(kind: str, tmp_path: Path) -> None:
    await holds("F10", kind, tmp_path)


@on_each_kind("F11")
async def test_f11_r11_a_full_disk_under_load(kind: str, tmp_path: Path) -> None:
    await holds("F11", kind, tmp_path)


@on_each_kind("F12")
async def test_f12_r11_a_flush_that_fails_ends_the_process(kind: str, tmp_path: Path) -> None:
    await holds("F12", kind, tmp_path)


@on_each_kind("F27")
async def test_f27_r4_configurations_change_under_load(kind: str, tmp_path: Path) -> None:
    await holds("F27", kind, tmp_path)


@on_each_kind("F9")
@pytest.mark.timeout(200)
async def test_f9_r3_r5_r7_a_network_that_loses_answers_loses_no_event(
    kind: str, tmp_path: Path
) -> None:
    await holds("F9", kind, tmp_path)


@on_each_kind("F17")
@pytest.mark.timeout(200)
async def test_f17_s1_r4_r9_dns_that_fails_costs_no_try(kind: str, tmp_path: Path) -> None:
    await holds("F17", kind, tmp_path)


@on_each_kind("F32")
@pytest.mark.timeout(200)
async def test_f32_r3_r5_a_dead_first_address_costs_no_message(kind: str, tmp_path: Path) -> None:
    await holds("F32", kind, tmp_path)


@on_each_kind("F18")
@pytest.mark.timeout(200)
async def test_f18_s5_r4_r7_tls_that_is_wrong_is_told_and_others_are_served(
    kind: str, tmp_path: Path
) -> None:
    await holds("F18", kind, tmp_path)


@on_each_kind("F19")
@pytest.mark.timeout(200)
async def test_f19_r4_r7_every_behaviour_of_a_listener_under_load(
    kind: str, tmp_path: Path
) -> None:
    await holds("F19", kind, tmp_path)


@on_each_kind("F25")
@pytest.mark.timeout(200)
async def test_f25_r7_r10_many_listeners_come_back_at_once(kind: str, tmp_path: Path) -> None:
    await holds("F25", kind, tmp_path)


@on_each_kind("F26")
@pytest.mark.timeout(200)
async def test_f26_r4_r17_events_that_are_hard_to_take(kind: str, tmp_path: Path) -> None:
    await holds("F26", kind, tmp_path)


@on_each_kind("F33")
@pytest.mark.timeout(200)
async def test_f33_r22_a_start_with_a_clock_a_year_ahead_deletes_nothing(
    kind: str, tmp_path: Path
) -> None:
    await holds("F33", kind, tmp_path)


@on_each_kind("F34")
@pytest.mark.timeout(200)
async def test_f34_r22_a_clock_2_h_ahead_for_a_while_leaves_nothing_behind(
    kind: str, tmp_path: Path
) -> None:
    await holds("F34", kind, tmp_path)


@on_each_kind("F31")
async def test_f31_r21_the_end_of_a_failure_sends_what_it_held_back(
    kind: str, tmp_path: Path
) -> None:
    await holds("F31", kind, tmp_path)


def controls() -> list[tuple[str, str]]:
    """Each planted defect with the installation that it is seen on."""
    return [(one.id, kind) for one in catalogue() if one.control for kind in one.quick]


@pytest.mark.parametrize(("id_", "kind"), controls())
async def test_a_planted_defect_is_seen(id_: str, kind: str, tmp_path: Path) -> None:
    """A suite that cannot see it proves nothing."""
    assert (await run(id_, kind, tmp_path)).problems
