"""Which server a command means where nobody says."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from heliograph.access.credentials_file import FILE_NAME, Credentials
from heliograph.cli import data_dirs
from heliograph.cli.connection import find
from heliograph.cli.exits import Stop
from heliograph.model.accounts import Secret


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def data_dir(name: str, port: int = 1) -> Path:
    folder = Path(name)
    folder.mkdir(mode=0o700, exist_ok=True)
    Credentials(f"http://127.0.0.1:{port}", "account", Secret("its-token")).write(folder)
    return folder


def test_the_data_directory_is_found_by_whatever_name_and_from_within(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("empty").mkdir()
    data_dir("hg")
    assert data_dirs.found() == Path("hg")
    monkeypatch.chdir("hg")
    assert data_dirs.found() == Path()
    assert find(None, None, None, None).access_token.reveal() == "its-token"


def test_of_several_it_is_the_one_whose_server_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        data_dir("old")
        data_dir("new", listening.getsockname()[1])
        (data_dir("worn") / FILE_NAME).write_bytes(b"{")
        assert data_dirs.found() == Path("new")
        data_dir("old", listening.getsockname()[1])
        with pytest.raises(Stop, match=r"2 data directories are here: new, old\."):
            data_dirs.found()


def test_what_was_looked_for_is_told(tmp_path: Path) -> None:
    with pytest.raises(Stop) as told:
        find(None, None, None, None)
    said = " ".join([told.value.message, *told.value.steps])
    for looked in (data_dirs.VARIABLE, FILE_NAME, str(tmp_path), "--data-dir", "--base-uri"):
        assert looked in said
    assert data_dirs.found(Path("heliograph-data")) == Path("heliograph-data")


def test_another_users_data_directory_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir("hg")
    owner = Path("hg").stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(Stop, match="of yours") as told:
        data_dirs.found()
    assert (
        f"hg/{FILE_NAME} is there, and is not taken unless its folder is named: it is another"
        in (" ".join(told.value.steps))
    )


def test_what_is_given_lies_over_the_data_directory_but_its_token_goes_to_its_own_server_only() -> (
    None
):
    data_dir("hg")
    given = find(Path("hg"), None, None, "another")
    assert (given.base_uri, given.account_id) == ("http://127.0.0.1:1", "account")
    assert given.access_token.reveal() == "another"
    with pytest.raises(Stop) as told:
        find(None, "http://elsewhere.example", "account", None)
    assert told.value.message == "Also needed: --token (HELIOGRAPH_ACCESS_TOKEN)."


def test_a_token_that_was_given_is_not_sent_to_an_address_that_was_only_found() -> None:
    data_dir("hg")
    with pytest.raises(Stop) as told:
        find(None, None, None, "another")
    assert told.value.message.startswith("It is not said whose the token is")
    assert "--data-dir hg" in " ".join(told.value.steps)
    assert "another" not in " ".join([told.value.message, *told.value.steps])
    assert find(None, None, "other-account", None).account_id == "other-account"


@pytest.mark.parametrize(
    "loosened",
    ["the file is read by others", "the folder is written by others", "a file link", "a link"],
)
def test_what_others_may_have_put_there_is_not_found(tmp_path: Path, loosened: str) -> None:
    folder = data_dir("hg")
    match loosened:
        case "the file is read by others":  # as of a clone
            (folder / FILE_NAME).chmod(0o644)
        case "the folder is written by others":
            folder.chmod(0o777)
        case "a file link":
            (folder / FILE_NAME).rename(tmp_path / "elsewhere.json")
            (folder / FILE_NAME).symlink_to(tmp_path / "elsewhere.json")
        case _:
            (tmp_path / "in").mkdir()
            folder.rename(tmp_path / "in" / "hg")
            folder.symlink_to(tmp_path / "in" / "hg")
    with pytest.raises(Stop) as told:
        data_dirs.found()
    assert f"hg/{FILE_NAME} is there, and is not taken" in " ".join(told.value.steps)
    assert find(folder, None, None, None).access_token.reveal() == "its-token", "it is named"


def test_what_is_found_among_many_does_not_hang_on_their_order() -> None:
    data_dir("another")
    data_dir("hg")
    for number in range(999):
        Path(f"entry-{number}").touch()
    assert data_dirs.found() == Path("hg")


def test_with_a_database_the_usual_directory_comes_first() -> None:
    data_dir("hg")
    data_dir("hg2")
    Path("heliograph-data").mkdir()
    assert data_dirs.found(Path("heliograph-data")) == Path("heliograph-data")
