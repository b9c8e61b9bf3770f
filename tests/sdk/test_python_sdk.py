"""The official docusign-esign client, unmodified, against a real server and listener."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import docusign_esign
import pytest
from docusign_esign.client.api_exception import ApiException

from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published

# The page's attributes of connectLog that a failure has (its debug log is only in a log
# entry, and a log id only where the configuration keeps a log).
FAILURE_ATTRIBUTES = [
    "account_id",
    "config_url",
    "connect_id",
    "created",
    "email",
    "envelope_id",
    "error",
    "failure_id",
    "failure_uri",
    "last_try",
    "retry_count",
    "retry_uri",
    "status",
    "subject",
    "user_name",
]


class Sdk:
    """The SDK's ConnectApi, called from a thread: it blocks."""

    def __init__(self, api: Client) -> None:
        self._account_id = api.credentials.account_id
        client = docusign_esign.ApiClient(host=f"{api.server.base_uri}/restapi")
        token = api.credentials.access_token.reveal()
        client.set_default_header("Authorization", f"Bearer {token}")
        self._connect = docusign_esign.ConnectApi(client)

    async def __call__(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(self._connect, operation)
        return await asyncio.to_thread(method, self._account_id, *args, **kwargs)


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` gives as soon as it is something."""
    async with asyncio.timeout(20):
        while not (found := await look()):
            await asyncio.sleep(0.01)
        return found


async def test_the_sdk_follows_an_event_to_the_failure_log_and_back(
    api: Client, listener: LoopbackListener
) -> None:
    sdk = Sdk(api)
    made = await sdk(
        "create_configuration",
        connect_custom_configuration=docusign_esign.ConnectCustomConfiguration(
            name="crm",
            url_to_publish_to=f"{listener.base}/first",
            allow_envelope_publish="true",
            all_users="true",
            enable_log="true",
            include_hmac="true",
            requires_acknowledgement="true",
            delivery_mode="SIM",
            events=["envelope-sent", "envelope-completed"],
            event_data=docusign_esign.ConnectEventData(
                version="restv2.1", format="json", include_data=["recipients"]
            ),
        ),
    )
    assert made.connect_id
    assert made.event_data.include_data == ["recipients"]

    listed = await sdk("list_configurations")
    assert (listed.total_records, listed.configurations[0].name) == ("1", "crm")
    got = (await sdk("get_configuration", made.connect_id)).configurations[0]
    assert got.to_dict() == made.to_dict()

    got.url_to_publish_to = f"{listener.base}/hook"
    updated = await sdk("update_configuration", connect_custom_configuration=got)
    assert updated.url_to_publish_to == f"{listener.base}/hook"
    assert updated.name == "crm"

    listener.status = 500
    assert (await api.call("POST", "events", published())).status == 202

    async def failures() -> Any:
        return (await sdk("list_event_failure_logs")).failures

    (failure,) = await eventually(failures)
    assert all(getattr(failure, name) for name in FAILURE_ATTRIBUTES), failure
    assert failure.connect_id == made.connect_id
    assert failure.config_url == f"{listener.base}/hook"
    assert (failure.retry_count, failure.status) == ("0", "Sent")
    assert failure.error.startswith("status: 500 Internal Server Error")
    assert failure.account_id == api.credentials.account_id

    past = await sdk("list_event_failure_logs", to_date="2020-01-01T00:00:00Z")
    assert (past.failures, past.total_records) == ([], "0")
    recent = await sdk(
        "list_event_failure_logs",
        from_date=failure.created,
        to_date=failure.created,
    )
    assert [one.failure_id for one in recent.failures] == [failure.failure_id]

    listener.status = 200
    retried = await sdk(
        "retry_event_for_envelopes",
        connect_failure_filter=docusign_esign.ConnectFailureFilter(
            envelope_ids=[failure.envelope_id], synchronous="true"
        ),
    )
    (result,) = retried.retry_queue
    assert (result.envelope_id, result.config_id, result.status) == (
        "env-1",
        made.connect_id,
        "success",
    )
    assert await failures() == []

    logs = (await sdk("list_event_logs")).logs
    assert [(log.error is None, log.retry_count) for log in logs] == [(True, "1"), (False, "0")]
    detail = await sdk("get_event_log", logs[0].log_id, additional_info="true")
    assert detail.connect_debug_log[0].payload.encode() == listener.received[-1].body
    assert detail.connect_debug_log[0].connect_config == "crm"

    await _the_rest_of_a_life(sdk, api, listener, logs)
    assert await sdk("delete_configuration", made.connect_id) is None
    assert (await sdk("list_configurations")).configurations == []


async def _the_rest_of_a_life(
    sdk: Sdk, api: Client, listener: LoopbackListener, logs: list[Any]
) -> None:
    """One more failure is retried by envelope and deleted, and the logs with it."""
    listener.status = 500
    await api.call("POST", "events", published("envelope-completed", "env-2"))

    async def failed() -> Any:
        return (await sdk("list_event_failure_logs")).failures

    (failure,) = await eventually(failed)
    (queued,) = (await sdk("retry_event_for_envelope", "env-2")).retry_queue
    assert queued.status in ("queued", "in_progress")
    await sdk("delete_event_failure_log", failure.failure_id)
    assert await failed() == []

    assert await sdk("delete_event_log", logs[0].log_id) is None
    left = [log.log_id for log in (await sdk("list_event_logs")).logs]
    assert logs[0].log_id not in left
    assert logs[1].log_id in left
    assert await sdk("delete_event_logs") is None
    # The retry that was asked for above may have been under way and end in the log.
    assert len((await sdk("list_event_logs")).logs) <= 1


async def test_the_sdk_sees_our_errors_as_docusigns(api: Client) -> None:
    sdk = Sdk(api)
    with pytest.raises(ApiException) as caught:
        await sdk("delete_event_failure_log", "7")
    assert caught.value.status == 404
    assert b"RESOURCE_NOT_FOUND" in caught.value.body
    with pytest.raises(ApiException) as caught:
        await sdk("list_event_failure_logs", from_date="yesterday")
    assert (caught.value.status, b"from_date" in caught.value.body) == (400, True)


async def test_the_sdk_makes_changes_and_forgets_the_oauth_client_of_the_account(
    api: Client,
) -> None:
    sdk = Sdk(api)
    wanted = docusign_esign.ConnectOAuthConfig(
        authorization_server_url="http://127.0.0.1:9000/token",
        client_id="heliograph",
        client_secret="a secret",
        scope="hooks",
        custom_parameters={"audience": "https://hooks.example.com"},
    )
    made = await sdk("create_connect_o_auth_config", connect_o_auth_config=wanted)
    assert made.to_dict() == wanted.to_dict() | {"client_secret": "********"}
    assert (await sdk("get_connect_o_auth_config")).to_dict() == made.to_dict()
    made.scope = "other"
    changed = await sdk("update_connect_o_auth_config", connect_o_auth_config=made)
    assert (changed.scope, changed.client_id) == ("other", "heliograph")
    stored = await api.server.store.oauth.get(api.credentials.account_id)
    assert stored is not None
    assert stored.client_secret.reveal() == "a secret"
    assert await sdk("delete_connect_o_auth_config") is None
    with pytest.raises(ApiException) as caught:
        await sdk("get_connect_o_auth_config")
    assert caught.value.status == 404
