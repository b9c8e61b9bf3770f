"""What DocuSign refuses of a configuration, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from heliograph.errors import InvalidParameter
from heliograph.wire import docusign
from heliograph.wire.codec import decode_json
from heliograph.wire.rest import ConnectCustomConfiguration

GOOD: dict[str, Any] = {
    "name": "crm",
    "configurationType": "custom",
    "urlToPublishTo": "https://hooks.example.com/connect",
    "allUsers": "true",
    "deliveryMode": "SIM",
    "eventData": {"version": "restv2.1"},
    "events": ["envelope-sent", "recipient-finish-later", "click-agreed", "sms-opt-in"],
}
LEGACY: dict[str, Any] = {
    **{name: GOOD[name] for name in ("name", "configurationType", "urlToPublishTo", "allUsers")},
    "envelopeEvents": ["Sent", "completed", "TimedOut"],
    "recipientEvents": ["AuthenticationFailed", "authenticationfailed"],
}


@pytest.mark.parametrize(
    "taken",
    [
        GOOD,
        LEGACY,
        GOOD | {"deliveryMode": "sim"},  # as a sample of DocuSign's has it
        GOOD | {"allUsers": "false", "userIds": ["u-1"]},
        GOOD | {"allUsers": "false", "groupIds": ["1"]},
        GOOD | {"allUsers": "false", "allUsersExcept": "true"},
        GOOD | {"useSoapInterface": "true", "soapNamespace": "urn:x"},
        GOOD | {"configurationType": "customrecipient"},
        GOOD | {"urlToPublishTo": "HTTPS://hooks.example.com/"},
        LEGACY | {"deliveryMode": "aggregate", "eventData": {"version": "restv2.1"}},
        {"name": "crm", "configurationType": "salesforce"},
        {"name": "crm", "configurationType": "eOriginal", "events": ["x"]},
        *(
            GOOD | {"urlToPublishTo": f"http://{host}/"}
            for host in (
                *("localhost:9000", "127.0.0.1", "[::1]:80", "10.1.2.3", "hook", "a.localhost"),
                *("hook.test", "hook.internal", "hook.local"),
            )
        ),
    ],
)
def test_fidelity_refused_as_docusign_does_is_nothing_that_docusign_takes(
    taken: dict[str, Any],
) -> None:
    assert list(docusign.faults(taken)) == []


@pytest.mark.parametrize(
    ("over", "names"),
    [
        ({"name": ""}, "name"),
        ({"configurationType": None}, "configurationType"),
        ({"configurationType": "Custom"}, "configurationType"),
        ({"configurationType": "webhook"}, "configurationType"),
        ({"urlToPublishTo": "http://hooks.example.com/"}, "https://"),
        ({"urlToPublishTo": "http://198.51.100.7.example.com/"}, "https://"),
        ({"urlToPublishTo": "http://1.1.1.1/"}, "https://"),
        ({"allUsers": "false"}, "userIds"),
        ({"allUsers": "false", "userIds": [""]}, "userIds"),
        ({"events": []}, "must name an event"),
        ({"events": [""], "envelopeEvents": [""]}, "must name an event"),
        ({"events": ["envelope-complete"]}, "'envelope-complete' is no event"),
        ({"events": ["Envelope-Sent"]}, "'Envelope-Sent' is no event"),
        ({"events": ["order.shipped"]}, "'order.shipped' is no event"),
        ({"envelopeEvents": ["COMPLETED"]}, "envelopeEvents: 'COMPLETED'"),
        ({"recipientEvents": ["Voided"]}, "recipientEvents: 'Voided'"),
        ({"deliveryMode": ""}, "deliveryMode SIM and eventData.version"),
        ({"deliveryMode": "aggregate"}, "deliveryMode SIM and eventData.version"),
        ({"eventData": None}, "deliveryMode SIM and eventData.version"),
        ({"eventData": {"version": "restv2"}}, "eventData.version must be restv2.1"),
        ({"useSoapInterface": "true"}, "soapNamespace"),
    ],
)
def test_fidelity_refused_as_docusign_does_and_told_by_the_field(
    over: dict[str, Any], names: str
) -> None:
    document = json.dumps(GOOD | over).encode()
    with pytest.raises(InvalidParameter, match=names):
        docusign.refuse(document, None)
    # What was so before may stay: whoever pauses it is not told of its events.
    docusign.refuse(document, document)
    with pytest.raises(InvalidParameter, match=names):
        docusign.refuse(document, json.dumps(GOOD).encode())


@pytest.mark.parametrize("name", ["includeDocuments", "allUsers", "useSoapInterface"])
def test_fidelity_refused_as_docusign_does_is_a_switch_that_is_neither(name: str) -> None:
    body = json.dumps({name: "Sent"}).encode()
    with pytest.raises(InvalidParameter) as refused:
        docusign.refuse_booleans(decode_json(body, ConnectCustomConfiguration))
    # Recorded of DocuSign.
    assert str(refused.value) == (
        "The request contained at least one invalid parameter. "
        f"Boolean value expected for parameter: {name}"
    )
    for text in ("true", "False", "", True, None):
        docusign.refuse_booleans(
            decode_json(json.dumps({name: text}).encode(), ConnectCustomConfiguration)
        )


@pytest.mark.parametrize(
    "over",
    [
        {"deliveryMode": None},
        {"deliveryMode": "aggregate"},
        {"eventData": None},
        {"eventData": {"version": ""}},
        {"eventData": {"format": "json"}},
    ],
)
def test_fidelity_events_without_their_companions_are_refused(over: dict[str, Any]) -> None:
    (fault,) = docusign.faults(GOOD | over)
    assert fault == "events must come with deliveryMode SIM and eventData.version restv2.1."
    assert not docusign.faults(LEGACY | {"deliveryMode": "aggregate"})
