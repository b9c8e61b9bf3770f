"""Every setting of the server: its default, its environment name, and what it does."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from heliograph import failpoints
from heliograph.egress import Profile
from heliograph.model.configurations import ScheduleName
from heliograph.model.deliveries import FEWEST_DAYS, LEASE_SECONDS
from heliograph.model.fidelity import Fidelity

PREFIX: Final = "HELIOGRAPH_"

_URL: Final = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


_PROFILES: Final = tuple(profile.value for profile in Profile)
_ASSERTIONS: Final = ("auto", "once", "repeatedly")
_FIDELITIES: Final = ("auto", *Fidelity)
_LOG_FORMATS: Final = ("auto", "json", "console")
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_MOST_SENDERS: Final = 64
_LIMITS: Final = ("hourly_limit", "burst_limit", "token_limit", "refused_limit")
"""None of them holds in the emulator by default: a test suite calls as often as it likes."""


NOT_OF_DISPATCH: Final = frozenset(
    {
        "public_url",
        "fidelity",
        "assertions",
        "legacy_header",
        "console",
        *_LIMITS,
        "relay_mib",
        "no_dispatch",
        "adopt",
        "i_accept_exposure",
    }
)
"""What a node that only sends does not read: it has no API, and its database is no file."""


def _setting(default: Any, about: str, *, secret: bool = False) -> Any:
    """`secret`: the value may hold a password, and is shown and repeated nowhere."""
    return field(default=default, repr=not secret, metadata={"about": about, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `heliograph serve` runs with. Durations are seconds."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8080, "Port to listen on; 0 takes a free one.")
    tls_cert: str = _setting(
        "",
        "File of the certificate, PEM, its chain after it: with it the server speaks HTTPS. SIGHUP "
        "reads it again.",
    )
    tls_key: str = _setting("", "File of the certificate's private key, PEM, mode 0600.")
    public_url: str = _setting(
        "",
        "Where clients find this server, such as https://connect.example.com, if a proxy or "
        "another name stands before it: userinfo's base_uri, and the aud of JWT assertions.",
        secret=True,
    )
    fidelity: str = _setting(
        "auto",
        "How exactly it is DocuSign: docusign (what DocuSign refuses is refused), relaxed (it is "
        "warned of, and events of one's own are taken), or auto (docusign with --egress emulator, "
        "else relaxed).",
    )
    assertions: str = _setting(
        "auto",
        "How often a JWT assertion brings a token: once, repeatedly, or auto (repeatedly with "
        "--egress emulator, else once).",
    )
    legacy_header: bool = _setting(
        False,
        "Take X-DocuSign-Authentication, a user's name and password with every call, beside "
        "access tokens.",
    )
    data_dir: Path = _setting(
        Path("heliograph-data"), "Directory of the database, the master key and credentials.json."
    )
    database_url: str = _setting(
        "",
        "PostgreSQL to use instead of SQLite, such as postgresql://user@host/name; give one with "
        "a password as the environment variable. Any number of nodes may share it.",
        secret=True,
    )
    no_dispatch: bool = _setting(
        False, "Answer the API and send nothing: other nodes on the same PostgreSQL send."
    )
    processes: int = _setting(
        0,
        "Processes of this server behind its port, each a node; above 1 only with --database-url, "
        "where 0 makes one for each processor, at most 8. What --in-flight, --in-flight-mib and "
        "--per-configuration bound is shared out to them.",
    )
    lease: float = _setting(
        LEASE_SECONDS,
        "Seconds after which a node that died is taken for dead, and its work taken over.",
    )
    keep_logs: int = _setting(
        90,
        "Days for which events and logs are kept after their deliveries have ended, from 16; 0 "
        "keeps them for ever. Failures stay until delivered or deleted.",
    )
    keep_audit: int = _setting(
        400,
        "Days for which the audit is kept, from 16; 0 keeps it for ever.",
    )
    egress: str = _setting(
        "public",
        "Where listeners may be: public (the Internet), private (also the networks and hosts "
        "of --egress-allow), or emulator (also this machine, for development).",
    )
    egress_allow: str = _setting(
        "", "Comma-separated CIDRs and host names that --egress private admits."
    )
    attempt_timeout: float = _setting(
        100.0, "Seconds a listener has for its whole answer (DocuSign: 100)."
    )
    schedule: str = _setting(
        "standard",
        "Retries of configurations that name no schedule: standard (seconds at first, hours "
        "later, 15 days in all) or docusign (15 s doubling to a day, 45 tries or 7 days; "
        "aggregate: daily, ten tries).",
    )
    time_zone: str = _setting(
        "UTC",
        "Time zone of the accounts, such as America/Los_Angeles: legacy XML tells times in it.",
    )
    disable_after: float = _setting(
        14.0,
        "Days after which a listener that takes nothing is switched off; what it misses is held. "
        "0 switches nobody off.",
    )
    alert_url: str = _setting(
        "",
        "Where a JSON object is posted before and when a listener is switched off, and when an "
        "incident opens, grows tenfold or closes; the egress guard holds for it too.",
        secret=True,
    )
    relay_mib: int = _setting(
        100, "MiB of one message that a relay takes; a larger one is answered with 413."
    )
    in_flight: int = _setting(512, "Attempts that may run at once.")
    in_flight_mib: int = _setting(
        256,
        "MiB of messages above 64 KiB that may be in flight at once, those that listeners share "
        "counted once; one goes in any case.",
    )
    per_configuration: int = _setting(8, "Attempts that may run at once to one listener.")
    senders: str = _setting(
        "auto",
        "Processes beside the server's that post messages while many are in flight: a number, 0 "
        "for none, or auto (one for each processor but the first, at most 3; none where several "
        "--processes share the port).",
    )
    grace: float = _setting(10.0, "Seconds that running attempts may take after a stop.")
    connections: int = _setting(
        2000, "Connections of clients at once; fewer where the process may not open as many files."
    )
    connections_per_address: int = _setting(
        200, "Connections at once from one IPv4 address, or one IPv6 network of 64 bits."
    )
    head_timeout: float = _setting(
        10.0, "Seconds a client has for the head of a request, and for a TLS handshake."
    )
    body_timeout: float = _setting(
        30.0,
        "Seconds a client has for the body of a request, or without taking any of its answer.",
    )
    idle_timeout: float = _setting(
        75.0, "Seconds that a connection is kept open between two requests."
    )
    trusted_proxies: str = _setting(
        "",
        "Comma-separated addresses and CIDRs of proxies before this server: their "
        "X-Forwarded-For names the client, they may open any number of connections, and TLS is "
        "theirs.",
    )
    hourly_limit: int = _setting(
        3000,
        "Calls that an account may make in an hour, but for those that publish (DocuSign: 3000); "
        "0 is no limit, and so is --egress emulator unless this is given.",
    )
    burst_limit: int = _setting(
        500,
        "Calls that an account may make in 30 seconds, but for those that publish (DocuSign: "
        "500); 0 is no limit, and so is --egress emulator unless this is given.",
    )
    token_limit: int = _setting(
        250,
        "Calls that may be made with one token in 30 seconds, but for those that publish; 0 is "
        "no limit, and so is --egress emulator unless this is given.",
    )
    refused_limit: int = _setting(
        100,
        "Calls of one IPv4 address, or one IPv6 network of 64 bits, that may be refused for their "
        "token in 5 minutes; no new token is looked up for it then. 0 is no limit, and so is "
        "--egress emulator unless this is given.",
    )
    adopt: bool = _setting(
        False,
        "Take over an SQLite file that was copied here, after a move or a restore; the original "
        "must never start again.",
    )
    console: bool = _setting(
        True, "Show the console at /console/, pages for those who sign in as a user or by a token."
    )
    metrics: bool = _setting(
        True, "Show metrics for Prometheus at /metrics, to anyone who can reach the port."
    )
    log_format: str = _setting(
        "auto", "Form of the log: json, console, or auto (console on a terminal, else json)."
    )
    log_level: str = _setting(
        "info",
        "Least level that is logged: debug, info (each event and each attempt), warning, error.",
    )
    otlp_endpoint: str = _setting(
        "",
        "Where spans go by OTLP over HTTP, such as http://127.0.0.1:4318; needs the extra "
        "opentelemetry.",
        secret=True,
    )
    i_accept_exposure: bool = _setting(
        False,
        "Listen beyond this machine although tokens go there in the clear, or as the emulator.",
    )
    i_accept_data_loss: bool = _setting(
        False, "Start although the storage cannot keep the promises (see doctor)."
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a value that no server can run with."""
        if not 0 <= self.port <= 65535:
            raise _unusable("port", "must be a number from 0 to 65535", self.port)
        for name, known in (
            ("egress", _PROFILES),
            ("log_format", _LOG_FORMATS),
            ("log_level", _LOG_LEVELS),
            ("schedule", tuple(ScheduleName)),
            ("assertions", _ASSERTIONS),
            ("fidelity", _FIDELITIES),
        ):
            if getattr(self, name) not in known:
                raise _unusable(name, f"must be one of {', '.join(known)}", getattr(self, name))
        for name in (
            "attempt_timeout",
            "in_flight",
            "in_flight_mib",
            "per_configuration",
            "connections",
            "connections_per_address",
            "head_timeout",
            "body_timeout",
            "idle_timeout",
            "relay_mib",
        ):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise _unusable(name, "must be a number above 0", value)
        _check_senders(self.senders)
        _check_zone(self.time_zone)
        if self.public_url and not _URL.fullmatch(self.public_url):
            wanted = "must be http:// or https:// with a host, and no path"
            raise _unusable("public_url", wanted, self.public_url)
        for name in (*_LIMITS, "processes"):
            if getattr(self, name) < 0:
                raise _unusable(name, "must be a number from 0", getattr(self, name))
        if not 1 <= self.lease <= 3600:
            raise _unusable("lease", "must be a number from 1 to 3600", self.lease)
        for name in ("keep_logs", "keep_audit"):
            _check_days(name, getattr(self, name))
        if not 0 <= self.disable_after < math.inf:
            raise _unusable("disable_after", "must be a number from 0", self.disable_after)
        if not 0 <= self.grace < math.inf:
            raise _unusable("grace", "must be a number from 0", self.grace)


def _check_days(name: str, days: int) -> None:
    if days != 0 and days < FEWEST_DAYS:
        raise _unusable(name, f"must be 0, or at least {FEWEST_DAYS}", days)


def _check_senders(text: str) -> None:
    if text != "auto" and not (text.isdecimal() and int(text) <= _MOST_SENDERS):
        raise _unusable("senders", f"must be auto, or a number from 0 to {_MOST_SENDERS}", text)


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):  # a path, none that is known, a folder of zones
        wanted = "must be a time zone of the IANA database, such as Europe/Berlin"
        raise _unusable("time_zone", wanted, name) from None


SECRETS: Final = frozenset(one.name for one in fields(Settings) if one.metadata["secret"])
"""Settings whose values may hold a password."""


def _unusable(name: str, wanted: str, value: object) -> ValueError:
    option = f"--{name.replace('_', '-')}"
    shown = "" if name in SECRETS else f", not {value}"
    return ValueError(f"{option} ({environment_name(name)}) {wanted}{shown}.")


def environment_name(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def told_by_shell(name: str) -> str:
    """What a shell, or another program that starts us, tells of itself; empty if it does not.

    No setting is read so.
    """
    return os.environ.get(name, "")


def environment_without_settings() -> dict[str, str]:
    """For a process of our own that needs no setting: some are secret."""
    kept = (failpoints.VARIABLE,)
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith(PREFIX)
    }


def from_environment(environment: Mapping[str, str] | None = None, **options: Any) -> Settings:
    """Settings from the environment, under those that were given (None: not given).

    Raises:
        ValueError: naming the variable or option whose value cannot be used.
    """
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        text = source.get(environment_name(setting.name))
        if options.get(setting.name) is not None:
            values[setting.name] = options[setting.name]
        elif text is not None:
            values[setting.name] = _convert(setting.name, type(setting.default), text)
    if values.get("egress") == Profile.EMULATOR.value:
        values = {**dict.fromkeys(_LIMITS, 0), **values}
    return Settings(**values)


def _convert(name: str, kind: Callable[[str], Any], text: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
        return kind(text)
    except (KeyError, ValueError):
        raise ValueError(f"{environment_name(name)} cannot be {text!r}.") from None
