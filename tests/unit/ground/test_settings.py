"""Settings: names, precedence, values that cannot be used, and that each is read."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import heliograph
from heliograph.settings import Settings, environment_name, from_environment

SOURCE = Path(heliograph.__file__).parent
NAMES = [one.name for one in fields(Settings)]
OTHER_VALUES = {
    "host": ("::1", "::1"),
    "port": ("0", 0),
    "tls_cert": ("server.pem", "server.pem"),
    "tls_key": ("server.key", "server.key"),
    "data_dir": ("elsewhere", Path("elsewhere")),
    "database_url": ("postgresql:///heliograph", "postgresql:///heliograph"),
    "no_dispatch": ("true", True),
    "processes": ("4", 4),
    "lease": ("12", 12.0),
    "egress": ("private", "private"),
    "egress_allow": ("10.0.0.0/8,intranet", "10.0.0.0/8,intranet"),
    "attempt_timeout": ("2.5", 2.5),
    "in_flight": ("7", 7),
    "in_flight_mib": ("32", 32),
    "relay_mib": ("7", 7),
    "per_configuration": ("3", 3),
    "senders": ("2", "2"),
    "grace": ("0", 0.0),
    "keep_logs": ("30", 30),
    "keep_audit": ("30", 30),
    "console": ("false", False),
    "metrics": ("false", False),
    "log_format": ("json", "json"),
    "log_level": ("warning", "warning"),
    "disable_after": ("2.5", 2.5),
    "alert_url": ("https://alerts.example.com/", "https://alerts.example.com/"),
    "time_zone": ("Europe/Berlin", "Europe/Berlin"),
    "schedule": ("docusign", "docusign"),
    "otlp_endpoint": ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
    "connections": ("64", 64),
    "connections_per_address": ("16", 16),
    "head_timeout": ("2.5", 2.5),
    "body_timeout": ("2.5", 2.5),
    "idle_timeout": ("2.5", 2.5),
    "hourly_limit": ("60", 60),
    "burst_limit": ("60", 60),
    "token_limit": ("60", 60),
    "refused_limit": ("60", 60),
    "i_accept_exposure": ("true", True),
    "trusted_proxies": ("10.0.0.0/8", "10.0.0.0/8"),
    "adopt": ("true", True),
    "public_url": ("https://hg.example.com:8443", "https://hg.example.com:8443"),
    "fidelity": ("relaxed", "relaxed"),
    "assertions": ("once", "once"),
    "legacy_header": ("true", True),
    "i_accept_data_loss": ("true", True),
}


def test_without_an_environment_the_defaults_hold_and_are_careful() -> None:
    settings = from_environment({})
    assert settings == Settings()
    assert settings.host == "127.0.0.1"  # S14
    assert settings.egress == "public"  # S1
    assert settings.i_accept_data_loss is False  # R18
    assert settings.i_accept_exposure is False  # S14


def test_s13_the_emulator_has_no_limits_of_calls_but_those_that_are_given() -> None:
    found = from_environment({"HELIOGRAPH_TOKEN_LIMIT": "7"}, egress="emulator", burst_limit=5)
    limits = (found.hourly_limit, found.burst_limit, found.token_limit, found.refused_limit)
    assert limits == (0, 5, 7, 0)
    found = from_environment({"HELIOGRAPH_EGRESS": "private"})
    assert found.hourly_limit == Settings().hourly_limit > 0


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_has_an_environment_name_a_type_and_a_help_text(name: str) -> None:
    text, value = OTHER_VALUES[name]
    assert environment_name(name) == f"HELIOGRAPH_{name.upper()}"
    found = getattr(from_environment({f"HELIOGRAPH_{name.upper()}": text}), name)
    assert found == value
    assert isinstance(found, type(value))
    about = next(one.metadata["about"] for one in fields(Settings) if one.name == name)
    assert about.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_wins_over_the_environment_and_none_gives_way(name: str) -> None:
    text, value = OTHER_VALUES[name]
    environment = {environment_name(name): text}
    default = getattr(Settings(), name)
    assert getattr(from_environment(environment, **{name: default}), name) == default
    assert getattr(from_environment(environment, **{name: None}), name) == value


def test_the_processs_own_environment_is_read_when_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELIOGRAPH_PORT", "81")
    assert from_environment().port == 81


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "http"),
        ("port", ""),
        ("port", "80.5"),
        ("port", "-1"),
        ("processes", "-1"),
        ("hourly_limit", "-1"),
        ("refused_limit", "many"),
        ("in_flight", "-1"),
        ("in_flight", "1e3"),
        ("attempt_timeout", "soon"),
        ("attempt_timeout", "nan"),
        ("attempt_timeout", "inf"),
        ("grace", "-0.5"),
        ("public_url", "connect.example.com"),
        ("public_url", "https://connect.example.com/restapi"),
        ("assertions", "never"),
        ("fidelity", "strict"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "America"),
        ("time_zone", "../etc/passwd"),
        ("time_zone", ""),
        ("i_accept_data_loss", "maybe"),
        ("i_accept_data_loss", ""),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_the_variables_name(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=environment_name(name)):
        from_environment({environment_name(name): text})


@pytest.mark.parametrize(
    ("text", "value"), [("TRUE", True), (" 1 ", True), ("False", False), ("0", False)]
)
def test_a_switch_takes_true_and_false_in_any_case(text: str, value: bool) -> None:
    found = from_environment({"HELIOGRAPH_I_ACCEPT_DATA_LOSS": text})
    assert found.i_accept_data_loss is value


def test_variables_of_others_are_left_alone() -> None:
    assert from_environment({"PORT": "x", "HELIOGRAPH_UNKNOWN": "x"}) == Settings()


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_is_read_somewhere(name: str) -> None:
    use = re.compile(rf"settings\.{name}\b")
    readers = [
        file
        for file in SOURCE.rglob("*.py")
        if file.name != "settings.py" and use.search(file.read_text(encoding="utf-8"))
    ]
    assert readers


def test_nothing_else_reads_the_environment() -> None:
    readers = [
        file.name
        for file in SOURCE.rglob("*.py")
        if any(word in file.read_text(encoding="utf-8") for word in ("os.environ", "getenv"))
    ]
    # failpoints.py belongs to the chaos suite: it is no setting, and must not look like one.
    assert sorted(readers) == ["failpoints.py", "settings.py"]
