"""The storage's lies: each is found, refused, and taken only when that is asked for (R18)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from heliograph.clock import SystemClock
from heliograph.errors import UnsafeStorage
from heliograph.model.checks import Check
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite import doctor
from heliograph.store.sqlite.connection import connect
from heliograph.store.sqlite.doctor import refuse_unsafe, settings_check, storage_checks
from heliograph.store.sqlite.store import SqliteStore


class Lying(apsw.Connection):
    """A database that takes a pragma and does not keep it."""

    lie: tuple[str, Any] = ("", None)

    def pragma(self, name: str, *value: Any, **more: Any) -> Any:
        kept = super().pragma(name, *value, **more)
        return self.lie[1] if name == self.lie[0] and not value else kept


def mounts(tmp_path: Path, *table: tuple[str, str], root: str = "ext4") -> Path:
    """A mountinfo file: the root, then `(mount point as the kernel writes it, type)`."""
    lines = [f"22 1 8:1 / / rw,relatime shared:1 - {root} /dev/sda1 rw"]
    lines += [
        f"{number} 22 0:{number} / {point} rw - {kind} source rw,opt=a - b"
        for number, (point, kind) in enumerate(table, start=30)
    ]
    file = tmp_path / "mountinfo"
    file.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
    return file


def file_system(data_dir: Path, table: Path) -> Check:
    (check,) = (one for one in storage_checks(data_dir, table) if one.name == "file system")
    return check


def failed(checks: Sequence[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "f2fs"])
def test_r18_a_local_disk_passes(tmp_path: Path, kind: str) -> None:
    checks = storage_checks(tmp_path, mounts(tmp_path, root=kind))
    assert failed(checks) == []
    assert refuse_unsafe(checks, accept_data_loss=False) == []


@pytest.mark.parametrize(
    "kind", ["tmpfs", "ramfs", "overlay", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs"]
)
def test_r18_each_unsafe_file_system_is_refused_and_taken_only_with_the_flag(
    tmp_path: Path, kind: str
) -> None:
    checks = storage_checks(tmp_path, mounts(tmp_path, (str(tmp_path), kind)))
    with pytest.raises(UnsafeStorage) as caught:
        refuse_unsafe(checks, accept_data_loss=False)
    text = str(caught.value)
    assert f"{tmp_path} is on {kind}, which" in text
    assert "choose a --data-dir on a local disk." in text
    assert text.endswith("Or start with --i-accept-data-loss.")
    assert [check.name for check in refuse_unsafe(checks, accept_data_loss=True)] == ["file system"]


def test_the_deepest_mount_point_decides_and_not_a_name_that_begins_alike(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    table = mounts(tmp_path, (str(data_dir), "xfs"), (str(tmp_path), "nfs"), root="overlay")
    assert file_system(data_dir, table).found == "xfs"
    table = mounts(tmp_path, (f"{tmp_path}/dat", "tmpfs"))
    assert file_system(data_dir, table).found == "ext4"


def test_of_two_mounts_on_one_point_the_later_hides_the_first(tmp_path: Path) -> None:
    point = str(tmp_path)
    assert not file_system(tmp_path, mounts(tmp_path, (point, "ext4"), (point, "tmpfs"))).passed
    assert file_system(tmp_path, mounts(tmp_path, (point, "tmpfs"), (point, "ext4"))).passed


@pytest.mark.parametrize(
    ("directory", "written"),
    [
        ("a b", r"a\040b"),
        ("a\tb", r"a\011b"),
        ("a\nb", r"a\012b"),
        ("a\\b", r"a\134b"),
        ("a\\040b", r"a\134040b"),
        ("a#b", r"a\043b"),
        # The kernel writes all other bytes as they are, in whatever encoding.
        ("größe", "größe"),
        ("a\u2028b", "a\u2028b"),
        ("a\udcffb", "a\udcffb"),
    ],
)
def test_r18_a_mount_point_of_odd_characters_is_recognised(
    tmp_path: Path, directory: str, written: str
) -> None:
    data_dir = tmp_path / directory
    data_dir.mkdir()
    assert not file_system(data_dir, mounts(tmp_path, (f"{tmp_path}/{written}", "nfs"))).passed


def test_r18_a_directory_that_is_not_there_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    table = mounts(tmp_path, (str(tmp_path), "tmpfs"))
    assert not file_system(tmp_path / "not" / "yet", table).passed


def test_r18_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "memory")
    table = mounts(tmp_path, (f"{tmp_path}/memory", "tmpfs"))
    assert not file_system(tmp_path / "link", table).passed


def test_where_the_kernel_does_not_say_the_file_system_is_unknown_and_passes(
    tmp_path: Path,
) -> None:
    assert file_system(tmp_path, tmp_path / "missing").found == "unknown"
    (tmp_path / "empty").write_text("")
    assert file_system(tmp_path, tmp_path / "empty").found == "unknown"
    (tmp_path / "strange").write_text("one two\n\n")
    assert file_system(tmp_path, tmp_path / "strange").found == "unknown"


def test_the_real_table_of_this_machine_can_be_read(tmp_path: Path) -> None:
    (check,) = (one for one in storage_checks(tmp_path) if one.name == "file system")
    assert check.found


@pytest.mark.parametrize("name", ["master.key", "credentials.json", "heliograph.db"])
def test_s7_a_file_that_others_can_read_is_refused_with_the_cure(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"")
    file.chmod(0o600)
    assert failed(storage_checks(tmp_path, mounts(tmp_path))) == []
    file.chmod(0o644)
    checks = storage_checks(tmp_path, mounts(tmp_path))
    assert failed(checks) == [name]
    with pytest.raises(UnsafeStorage, match=f"chmod 600 {file}"):
        refuse_unsafe(checks, accept_data_loss=False)


def test_r18_an_old_sqlite_is_refused_and_taken_only_with_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    checks = storage_checks(tmp_path, mounts(tmp_path))
    with pytest.raises(UnsafeStorage, match=r"SQLite 3\.40\.1 is too old.*3\.51\.3 or newer"):
        refuse_unsafe(checks, accept_data_loss=False)
    assert failed(refuse_unsafe(checks, accept_data_loss=True)) == ["sqlite"]


def test_r18_versions_of_sqlite_are_compared_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.10")
    assert failed(storage_checks(tmp_path, mounts(tmp_path))) == []


@pytest.mark.parametrize(
    "lie",
    [
        ("journal_mode", "delete"),
        ("journal_mode", "memory"),
        ("synchronous", 0),
        ("synchronous", 1),
        ("foreign_keys", 0),
        ("busy_timeout", 0),
    ],
)
def test_r18_a_pragma_that_did_not_take_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: tuple[str, Any]
) -> None:
    database = tmp_path / "heliograph.db"
    connect(database).close()
    monkeypatch.setattr(apsw, "Connection", Lying)
    monkeypatch.setattr(Lying, "lie", lie)
    with pytest.raises(UnsafeStorage, match=f"{lie[0]}={lie[1]}"):
        connect(database)
    assert not settings_check(database).passed


def test_r18_the_settings_of_a_sound_database_pass_and_none_is_no_fault(tmp_path: Path) -> None:
    database = tmp_path / "heliograph.db"
    assert settings_check(database).found == "no database yet"
    assert not database.exists()
    connect(database).close()
    assert settings_check(database).passed


def test_a_file_that_is_no_database_is_a_finding_and_not_a_crash(tmp_path: Path) -> None:
    database = tmp_path / "heliograph.db"
    database.write_bytes(b"this is not a database, and long enough to be read" * 100)
    check = settings_check(database)
    assert not check.passed
    assert check.mend


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    key = tmp_path / "master.key"
    key.write_bytes(b"")
    key.chmod(0o666)
    checks = storage_checks(tmp_path, mounts(tmp_path, (str(tmp_path), "overlay")))
    with pytest.raises(UnsafeStorage) as caught:
        refuse_unsafe(checks, accept_data_loss=False)
    assert "overlay" in str(caught.value)
    assert "Mode 0666: run `chmod 600" in str(caught.value)


async def test_r22_doctor_says_that_the_clock_is_ahead_of_the_time_that_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "heliograph.db"
    assert doctor.clock_check(database).found == "no server has run on this database yet"
    store = await SqliteStore.open(database, KeyRing.load(tmp_path / "master.key"), SystemClock())
    await store.close()
    assert doctor.clock_check(database).passed

    class YearAhead(SystemClock):
        def machine(self) -> datetime:
            return super().machine() + timedelta(days=365)

    monkeypatch.setattr(doctor, "SystemClock", YearAhead)
    check = doctor.clock_check(database)
    assert not check.passed
    assert re.match(r"the machine's is 31,53\d,\d\d\d s ahead of the store's", check.found)
