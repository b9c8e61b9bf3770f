"""Configurations: what runs inside the transactions that read and write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from heliograph.errors import ConfigurationsChanged
from heliograph.model.audit import Action, Change
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import SKIPPED
from heliograph.model.events import HeldReason
from heliograph.model.people import ADMINISTRATORS_ID, Memberships
from heliograph.store import Configurations, rows, sealing
from heliograph.store.keyring import KeyRing
from heliograph.store.verbs import Rows, Step, Verb, audit, people_rows
from heliograph.wire.configurations import read as read_configuration


def version(account_id: str) -> Verb[int]:
    """See `Store.configurations_version`."""
    account = (yield Step("configurations_version", {"account_id": account_id})).first
    return 0 if account is None else int(account.configurations_version)


def bump_version(account_id: str) -> Verb[Rows]:
    """Raise the version of an account's configurations by one, and take the account's row.

    Whoever matched its older configurations, or groups, matches again. The answer has the new
    version; it is empty where there is no such account.
    """
    return (yield Step("bump_version", {"account_id": account_id}))


def listed(keyring: KeyRing, account_id: str, known: Configurations | None) -> Verb[Configurations]:
    """See `Store.configurations`."""
    # Read first: what is older than its version is matched again, never the reverse.
    matched = yield from version(account_id)
    values = {"account_id": account_id}
    if known is None or known.version > matched:  # what was known is of another past
        rows_of_all = yield Step("configurations", values)
        found = sealing.configurations(keyring, account_id, rows_of_all)
    else:
        changed = yield Step("configurations_since", {**values, "version": known.version})
        found = _changed(keyring, account_id, known.all, changed)
    (account,) = yield Step("notifies", values)
    groups = yield from _memberships(account_id, found)
    return Configurations(matched, found, bool(account.notifies), groups)


def _changed(
    keyring: KeyRing, account_id: str, known: Sequence[ConnectConfiguration], changed: Rows
) -> tuple[ConnectConfiguration, ...]:
    """What is known, with what has become of some of them; by id."""
    by_id = {configuration.connect_id: configuration for configuration in known}
    for connect_id, document, sealed, deleted in changed:
        if deleted:
            by_id.pop(connect_id, None)
            continue
        row = (connect_id, document, sealed)
        (by_id[connect_id],) = sealing.configurations(keyring, account_id, [row])
    return tuple(by_id[connect_id] for connect_id in sorted(by_id))


def create(keyring: KeyRing, wanted: ConnectConfiguration, now: int) -> Verb[ConnectConfiguration]:
    """See `Store.create_configuration`; `now` is microseconds UTC."""
    yield from bump_version(wanted.account_id)
    values = {"account_id": wanted.account_id, "document": b"", "now": now}
    (row,) = yield Step("configuration_reserve", values)
    # The secrets are sealed for the id that it was given.
    created = read_configuration(wanted.account_id, row.connect_id, wanted.document, wanted.secrets)
    yield from _write(keyring, created, now)
    yield from audit.note(wanted.account_id, now, *audit.configuration_changed(None, created))
    return created


def known_ad_hoc(
    keyring: KeyRing, account_id: str, digests: Iterable[bytes]
) -> Verb[dict[bytes, ConnectConfiguration]]:
    """Those ad hoc configurations that are there already, by digest."""
    values = {"account_id": account_id, "digests": [digest.hex() for digest in digests]}
    return {
        bytes(digest): configuration
        for connect_id, document, sealed, digest in (yield Step("ad_hoc_known", values))
        for configuration in sealing.configurations(
            keyring, account_id, [(connect_id, document, sealed)]
        )
    }


def add_ad_hoc(
    keyring: KeyRing, account_id: str, wanted: Mapping[bytes, ConnectConfiguration], now: int
) -> Verb[dict[bytes, ConnectConfiguration]]:
    """See `Store.ad_hoc`; `now` is microseconds UTC."""
    known = yield from known_ad_hoc(keyring, account_id, wanted)
    # In one order, so that none waits for another crosswise.
    new = sorted(wanted.keys() - known.keys())
    if not new:
        return known
    values = {"account_id": account_id, "now": now}
    rows_of_new = json.dumps([_row(digest, wanted[digest]) for digest in new])
    for connect_id, digest in (yield Step("ad_hoc_add", {**values, "wanted": rows_of_new})):
        created = replace(wanted[bytes(digest)], connect_id=connect_id)
        known[bytes(digest)] = created
        if created.secrets:  # they are sealed for the id that it was given
            yield from _write(keyring, created, now)
    raced = wanted.keys() - known.keys()
    return known | (yield from known_ad_hoc(keyring, account_id, raced)) if raced else known


def _row(digest: bytes, wanted: ConnectConfiguration) -> dict[str, Any]:
    return {
        "digest": digest.hex(),
        "name": wanted.name,
        "url": wanted.url,
        "publishing": wanted.publishing,
        "paused": wanted.paused,
        "document": wanted.document.decode(),
    }


def update(
    keyring: KeyRing, wanted: ConnectConfiguration, now: int, expected: int | None
) -> Verb[bool]:
    """See `Store.update_configuration`; `now` is microseconds UTC, `expected` the version."""
    account = (yield from bump_version(wanted.account_id)).first
    if account is None:
        return False
    if expected is not None and account.configurations_version != expected + 1:
        raise ConfigurationsChanged
    values = {"account_id": wanted.account_id, "connect_id": wanted.connect_id, "now": now}
    found = yield Step("configuration", values)
    if not found:
        return False
    (before,) = sealing.configurations(keyring, wanted.account_id, found)
    yield from _write(keyring, wanted, now)
    changed = audit.configuration_changed(before, wanted)
    yield from audit.note_changed(wanted.account_id, now, *changed)
    if wanted.publishing and not before.publishing:  # switched on: what it failed at is past
        yield Step("failing_clear", {"connect_ids": [wanted.connect_id]})
    reason = wanted.held
    if reason is None:
        yield Step("release_held", values)
    else:
        yield Step("hold_anew", {**values, "reason": reason.value})
        yield Step("hold_waiting", {**values, "reason": reason.value})
    if reason is HeldReason.PAUSED:
        yield Step("list_held", {**values, **rows.because(SKIPPED)})
    return True


def delete(account_id: str, connect_id: int, now: int) -> Verb[bool]:
    """See `Store.delete_configuration`; `now` is microseconds UTC."""
    yield from bump_version(account_id)
    values = {"account_id": account_id, "connect_id": connect_id, "now": now}
    if not (yield Step("configuration_delete", values)).changed:
        return False
    yield Step("fail_unfinished", {**values, **rows.because(rows.DELETED)})
    deleted = Change(f"configuration {connect_id}")
    yield from audit.note(account_id, now, Action.CONFIGURATION_DELETED, deleted)
    return True


def _write(keyring: KeyRing, wanted: ConnectConfiguration, now: int) -> Verb[Rows]:
    """Replace a live configuration."""
    values = {**sealing.writing(keyring, wanted), "now": now}
    return (yield Step("configuration_write", values))


def group_members(account_id: str, group_ids: Sequence[int]) -> Verb[Memberships]:
    """See `People.group_members`."""
    values: dict[str, Any] = {"account_id": account_id, "group_ids": group_ids}
    values["administrators"] = ADMINISTRATORS_ID
    return people_rows.memberships((yield Step("group_members", values)))


def _memberships(account_id: str, found: Iterable[ConnectConfiguration]) -> Verb[Memberships]:
    """Who is in the groups that these configurations name."""
    named = people_rows.numbers(
        text for configuration in found for text in configuration.interest.group_ids
    )
    return (yield from group_members(account_id, named)) if named else {}
