"""Every ConnectApi call of DocuSign's SDKs for Python and Node, unmodified, on a real server.

Which calls there are is read from the SDKs: one that no test makes fails the last of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from heliograph.incoming import dev_certificate
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.sdk.clients import Body, Parsed, Refused, Sdk, node_sdk, sdk_of
from tests.server import Client, serving
from tests.support import published

SDKS = ("python", "node", "node-callback")

# What the page says that a connectLog has; a failure has no debug log, and a log id only
# where the configuration keeps a log.
FAILURE_FIELDS = {
    *("accountId", "configUrl", "connectId", "created", "email", "envelopeId", "error"),
    *("failureId", "failureUri", "lastTry", "retryCount", "retryUri", "status", "subject"),
    "userName",
}

CONFIGURATION = {
    "name": "crm",
    "allowEnvelopePublish": "true",
    "allUsers": "true",
    "deliveryMode": "SIM",
    "enableLog": "true",
    "eventData": {"version": "restv2.1", "format": "json", "includeData": ["recipients"]},
    "events": ["envelope-sent", "envelope-completed"],
    "includeHMAC": "true",
    "requiresAcknowledgement": "true",
}

OAUTH = {
    "clientId": "heliograph",
    "clientSecret": "a secret of the authorization server",
    "customParameters": {"audience": "hooks"},
    "scope": "hooks.write",
}


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` gives as soon as it is something."""
    async with hang(20):
        while not (found := await look()):
            await asyncio.sleep(0.01)
        return found


class Connect:
    """The ConnectApi of an SDK, for one account."""

    def __init__(self, sdk: Sdk, account_id: str) -> None:
        self._sdk = sdk
        self._account_id = account_id

    async def __call__(
        self, operation: str, *path: str, body: Body | None = None, **query: str
    ) -> Parsed:
        return await self._sdk.call(
            "ConnectApi", operation, self._account_id, *path, body=body, **query
        )

    async def failures(self) -> Any:
        return (await self("list_event_failure_logs"))["failures"]


@pytest.mark.parametrize("kind", SDKS)
async def test_an_sdk_makes_every_call_and_reads_every_answer(
    kind: str, api: Client, listener: LoopbackListener
) -> None:
    async with sdk_of(kind, api) as sdk:
        connect = Connect(sdk, api.credentials.account_id)
        connect_id = await _configurations(connect, listener)
        await _users_of_a_configuration(connect, api, connect_id)
        await _failures(connect, api, listener, connect_id)
        await _logs(connect, listener)
        await _oauth(connect, listener)
        await _mobile_notifiers(connect)
        if "create_connect_secret" in await sdk.operations("ConnectApi"):
            await _secrets(connect, api)
        await connect("delete_configuration", connect_id)
        assert (await connect("list_configurations"))["configurations"] == []
        assert sdk.called == await sdk.operations("ConnectApi")


async def _configurations(connect: Connect, listener: LoopbackListener) -> str:
    wanted = {**CONFIGURATION, "urlToPublishTo": f"{listener.base}/first"}
    made = await connect("create_configuration", body=Body("ConnectCustomConfiguration", wanted))
    assert made.models == {"ConnectCustomConfiguration", "ConnectEventData"}
    connect_id: str = made["connectId"]
    assert made.value == {**made.value, **wanted}

    listed = await connect("list_configurations")
    assert listed.models == {"ConnectConfigResults", *made.models}
    assert (listed["totalRecords"], listed["configurations"]) == ("1", [made.value])
    assert (await connect("get_configuration", connect_id)).value == listed.value

    moved = {**made.value, "urlToPublishTo": f"{listener.base}/hook"}
    updated = await connect("update_configuration", body=Body("ConnectCustomConfiguration", moved))
    assert updated.value == moved
    return connect_id


async def _users_of_a_configuration(connect: Connect, api: Client, connect_id: str) -> None:
    names = [("Ada Lovelace", "ada@example.com"), ("Bob Crane", "bob@example.org")]
    users = [{"userName": name, "email": email} for name, email in names]
    added = await api.call("POST", f"{api.account}/users", {"newUsers": users})
    ada, bob = (one["userId"] for one in added.json["newUsers"])
    some = {"connectId": connect_id, "allUsers": "false", "userIds": [ada]}
    await connect("update_configuration", body=Body("ConnectCustomConfiguration", some))

    included = await connect("list_users", connect_id, list_included_users="true")
    assert included.models == {"IntegratedUserInfoList", "UserInfo"}
    assert included["allUsersSelected"] == "false"
    assert [(one["userId"], one["email"]) for one in included["users"]] == [(ada, names[0][1])]
    left_out = await connect(
        *("list_users", connect_id),
        list_included_users="false",
        status="Active",
        user_name_substring="Bob",
        email_substring="example",
    )
    assert [one["userName"] for one in left_out["users"]] == ["Bob Crane"]

    # The account has no other users, so two pages of one show all.
    first = await connect("get_connect_all_users", connect_id, count="1", start_position="0")
    second = await connect("get_connect_all_users", connect_id, count="1", start_position="1")
    assert first.models == {"IntegratedConnectUserInfoList", "ConnectUserInfo"}
    assert {(one["userId"], one["isIncluded"]) for one in first["users"] + second["users"]} == {
        (ada, "true"),
        (bob, "false"),
    }
    assert (first["totalSetSize"], first["resultSetSize"]) == ("2", "1")
    assert (second["startPosition"], second["endPosition"]) == ("1", "1")
    assert "start_position=1" in first["nextUri"]
    assert "start_position=0" in second["previousUri"]
    with pytest.raises(Refused, match="domain_users_only"):  # this token is no user's
        await connect("get_connect_all_users", connect_id, domain_users_only="true")

    everyone = {"connectId": connect_id, "allUsers": "true", "userIds": []}
    await connect("update_configuration", body=Body("ConnectCustomConfiguration", everyone))


async def _failures(
    connect: Connect, api: Client, listener: LoopbackListener, connect_id: str
) -> None:
    listener.status = 500
    assert (await api.call("POST", "events", published())).status == 202
    (failure,) = await eventually(connect.failures)
    assert set(failure) >= FAILURE_FIELDS
    assert failure["connectId"] == connect_id
    assert failure["configUrl"] == f"{listener.base}/hook"
    assert failure["accountId"] == api.credentials.account_id
    assert (failure["retryCount"], failure["status"]) == ("0", "Sent")
    assert failure["error"].startswith("status: 500 Internal Server Error")

    created = failure["created"]
    past = await connect("list_event_failure_logs", to_date="2020-01-01T00:00:00Z")
    assert (past["failures"], past["totalRecords"]) == ([], "0")
    recent = await connect("list_event_failure_logs", from_date=created, to_date=created)
    assert recent.models == {"ConnectLogs", "ConnectLog"}
    assert [one["failureId"] for one in recent["failures"]] == [failure["failureId"]]
    assert recent["type"] == past["type"]

    (queued,) = (await connect("retry_event_for_envelope", failure["envelopeId"]))["retryQueue"]
    assert queued["status"] in ("queued", "in_progress")

    async def tried_again() -> bool:
        # And it has ended: the synchronous call below would take its outcome for its own.
        (found,) = (await api.call("GET", "failures")).json["failures"]
        return (found["retryCount"], found["deliveryState"]) == ("1", "waiting")

    await eventually(tried_again)
    listener.status = 200
    wanted = {"envelopeIds": [failure["envelopeId"], "unknown"], "synchronous": "true"}
    retried = await connect("retry_event_for_envelopes", body=Body("ConnectFailureFilter", wanted))
    assert retried.models == {"ConnectFailureResults", "ConnectFailureResult"}
    outcomes = {one["envelopeId"]: one for one in retried["retryQueue"]}
    assert outcomes["unknown"]["status"] == "not_found"
    done = outcomes[failure["envelopeId"]]
    assert (done["status"], done["configId"]) == ("success", connect_id)
    assert done["configUrl"] == f"{listener.base}/hook"
    assert await connect.failures() == []

    listener.status = 500
    await api.call("POST", "events", published("envelope-completed", "env-2"))
    (second,) = await eventually(connect.failures)
    deleted = await connect("delete_event_failure_log", second["failureId"])
    assert deleted.value == {}  # its class has no fields, and the Python SDK makes none of it
    assert await connect.failures() == []


async def _logs(connect: Connect, listener: LoopbackListener) -> None:
    (delivered,) = [one for one in (await connect("list_event_logs"))["logs"] if "error" not in one]
    detail = await connect("get_event_log", delivered["logId"], additional_info="true")
    assert detail.models == {"ConnectLog", "ConnectDebugLog"}
    shown = detail["connectDebugLog"][0]
    assert shown["connectConfig"] == "crm"
    posted = [one.body for one in listener.received if b'"retryCount":0' not in one.body]
    assert shown["payload"].encode() in posted
    brief = await connect("get_event_log", delivered["logId"])
    assert brief.value == delivered

    await connect("delete_event_log", delivered["logId"])
    left = (await connect("list_event_logs", from_date="2020-01-01T00:00:00Z"))["logs"]
    assert left
    assert delivered["logId"] not in [one["logId"] for one in left]
    await connect("delete_event_logs")
    assert (await connect("list_event_logs"))["logs"] == []


async def _oauth(connect: Connect, listener: LoopbackListener) -> None:
    wanted = {**OAUTH, "authorizationServerUrl": f"{listener.base}/token"}
    with pytest.raises(Refused) as none:
        await connect("get_connect_o_auth_config")
    assert none.value.status == 404
    made = await connect("create_connect_o_auth_config", body=Body("ConnectOAuthConfig", wanted))
    assert made.models == {"ConnectOAuthConfig"}
    shown = {**wanted, "clientSecret": "********"}
    assert made.value == shown
    assert (await connect("get_connect_o_auth_config")).value == shown
    other = {**shown, "scope": "hooks"}
    updated = await connect("update_connect_o_auth_config", body=Body("ConnectOAuthConfig", other))
    assert updated.value == other
    await connect("delete_connect_o_auth_config")
    with pytest.raises(Refused):
        await connect("get_connect_o_auth_config")


async def _mobile_notifiers(connect: Connect) -> None:
    name = "MobileNotifierConfigurationInformation"
    assert (await connect("list_mobile_notifiers")).value == {"mobileNotifierConfigurations": []}
    phone = {"mobileNotifierConfigurations": [{"deviceId": "phone-1", "platform": "ios"}]}
    for operation, code in (
        ("update_mobile_notifiers", "INVALID_REQUEST_BODY"),
        ("delete_mobile_notifiers", "RESOURCE_NOT_FOUND"),
    ):
        answer = await connect(operation, body=Body(name, phone))
        assert answer.models == {name, "MobileNotifierConfiguration", "ErrorDetails"}
        (device,) = answer["mobileNotifierConfigurations"]
        assert (device["deviceId"], device["platform"]) == ("phone-1", "ios")
        assert device["errorDetails"]["errorCode"] == code
        assert "phone-1" in device["errorDetails"]["message"]
        with pytest.raises(Refused, match="mobileNotifierConfigurations"):
            await connect(operation, body=Body(name, {}))


async def _secrets(connect: Connect, api: Client) -> None:
    """HMAC keys, which the SDK makes and throws away: only a callback sees the response."""
    made = await connect("create_connect_secret")
    listed = await connect("get_connect_secret")
    (key,) = (await api.call("GET", "secret")).json["secrets"]
    if made.raw is not None:
        assert made.raw["keyId"] == key["keyId"]
        assert made.raw["secret"]
        assert listed.raw == {"secrets": [key]}
    await connect("delete_connect_secret", key["keyId"])
    assert (await api.call("GET", "secret")).json["secrets"] == []


@pytest.mark.parametrize("kind", SDKS)
async def test_an_sdk_publishes_envelopes_of_the_past(
    kind: str, api: Client, listener: LoopbackListener
) -> None:
    for number in range(2):
        await api.call("POST", "events", published("envelope-sent", f"env-{number}"))
    body = {
        "envelopes": ["env-0", "env-1", "elsewhere"],
        "config": {"urlToPublishTo": listener.base, "name": "archive"},
    }
    async with sdk_of(kind, api) as sdk:
        begun = await sdk.call(
            *("EnvelopesApi", "create_historical_envelope_publish_transaction"),
            api.credentials.account_id,
            body=Body("ConnectHistoricalEnvelopeRepublish", body),
        )
    assert begun.models == {
        "EnvelopePublishTransaction",
        "EnvelopePublishTransactionErrorRollup",
        "UserInfo",
    }
    assert begun["processingStatus"] == "processing"
    assert (begun["envelopeCount"], begun["submittedForPublishingEnvelopeCount"]) == ("3", "2")
    assert begun["envelopeLevelErrorRollups"] == [
        {"count": "1", "errorType": "ENVELOPE_DOES_NOT_EXIST"}
    ]
    assert begun["submissionDate"]
    await listener.until(lambda got: len(got) == 2)
    sent = {one.message["data"]["envelopeId"] for one in listener.received}
    assert sent == {"env-0", "env-1"}

    async def completed() -> bool:
        answer = await api.call("GET", begun["resultsUri"])
        return bool(answer.json["processingStatus"] == "completed")

    assert await eventually(completed)


@pytest.mark.parametrize("kind", SDKS)
async def test_an_sdk_raises_our_errors_as_docusigns(kind: str, api: Client) -> None:
    async with sdk_of(kind, api) as sdk:
        connect = Connect(sdk, api.credentials.account_id)
        with pytest.raises(Refused) as missing:
            await connect("delete_event_failure_log", "7")
        assert missing.value.status == 404
        assert missing.value.body["errorCode"] == "RESOURCE_NOT_FOUND"
        with pytest.raises(Refused) as wrong:
            await connect("list_event_failure_logs", from_date="yesterday")
        assert wrong.value.status == 400
        assert "from_date" in wrong.value.body["message"]


async def test_the_node_sdk_speaks_https_to_a_server_whose_authority_it_was_told(
    tmp_path: Path,
) -> None:
    made = dev_certificate.issue(tmp_path)
    async with serving(tmp_path, tls_cert=made.certificate, tls_key=made.key) as api:
        base = f"{api.server.base_uri}/restapi"
        assert base.startswith("https://")
        token = api.credentials.access_token.reveal()
        async with node_sdk(base, token, NODE_EXTRA_CA_CERTS=str(made.authority)) as sdk:
            connect = Connect(sdk, api.credentials.account_id)
            assert (await connect("list_event_failure_logs"))["totalRecords"] == "0"
        async with node_sdk(base, token) as sdk:
            connect = Connect(sdk, api.credentials.account_id)
            with pytest.raises(AssertionError, match="certificate"):
                await connect("list_event_failure_logs")
