"""What a job is about is shown with every filter that it has."""

from __future__ import annotations

from dataclasses import fields

from heliograph.model.causes import Cause
from heliograph.model.logs import LogQuery
from heliograph.wire.republish_jobs import RepublishSelection, _selection


def test_whatever_narrows_a_job_is_shown() -> None:
    filters = {field.name for field in fields(LogQuery)} - {"order"}
    assert {*RepublishSelection.__struct_fields__} == filters


def test_the_cause_of_a_job_is_shown() -> None:
    shown = _selection(LogQuery(phase="tls", cause=Cause("tls", "certificate expired")))
    assert shown == RepublishSelection(phase="tls", cause="tls: certificate expired")
