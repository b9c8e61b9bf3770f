"""What every generation does: sign in, and every Connect call that it has, each with its check."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from heliograph.incoming import dev_certificate
from tests.generations.catalogue import Generation, Missing
from tests.generations.sdk import NotAsExpected, Sdk, started
from tests.integration import ADA, Integration, integrate, private_key, private_pem
from tests.listener import LoopbackListener, listening
from tests.server import Client, serving
from tests.support import published

_SECONDS: Final = 30.0
"""Until something that was asked for has happened."""


@dataclass
class Figures:
    """What came of a generation. `missing` says why it could not be had."""

    generation: Generation
    missing: str = ""
    has: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    wrong: dict[str, str] = field(default_factory=dict)
    signs_in: str = ""
    """Empty: it does; else why not."""

    @property
    def hold(self) -> int:
        """How many calls do what they should."""
        return len(self.made - self.wrong.keys())

    @property
    def whole(self) -> bool:
        """Whether all that was tried holds."""
        return bool(self.missing) or (
            self.made == self.has and not self.wrong and not self.signs_in
        )


async def figures(generation: Generation) -> Figures:
    """Try a generation on a new server."""
    found = Figures(generation)
    with TemporaryDirectory() as name:
        folder = Path(name)
        tls = folder / "tls"
        dev_certificate.issue(tls)
        settings = {"tls_cert": str(tls / "server.pem"), "tls_key": str(tls / "server.key")}
        async with serving(folder, **settings) as api, listening() as listener:
            one = await integrate(api)
            await api.call("PUT", f"{api.account}/users/{ADA}", {"isAdmin": "true"})
            key = folder / "private.pem"
            key.write_bytes(private_pem(private_key()))
            try:
                async with started(
                    generation, f"{api.server.base_uri}/restapi", tls / "ca.pem"
                ) as sdk:
                    await _Try(found, sdk, api, listener, one, key).all_of_it()
            except Missing as missing:
                found.missing = str(missing)
    return found


@dataclass
class _Try:
    found: Figures
    sdk: Sdk
    api: Client
    listener: LoopbackListener
    integration: Integration
    key: Path
    connect_id: str = ""

    async def all_of_it(self) -> None:
        """Every call once; one that the SDK does not have is passed over."""
        self.found.has = set((await self.sdk.ask(list="ConnectApi"))["operations"])
        await self._sign_in()
        for part in (
            self._configurations,
            self._users,
            self._failures,
            self._logs,
            self._oauth,
            self._mobile_notifiers,
            self._secrets,
            self._end,
        ):
            # It was noted at its call, and the rest of the part needs it.
            with contextlib.suppress(NotAsExpected):
                await part()

    async def _sign_in(self) -> None:
        given = {
            "host": self.integration.host,
            "key": str(self.key),
            "client": self.integration.integration_key,
            "user": ADA,
        }
        try:
            who = (await self.sdk.ask(sign_in=given))["userinfo"]
            assert (who["sub"], who["email"]) == (ADA, "ada@example.com"), who
        except (NotAsExpected, AssertionError) as wrong:
            self.found.signs_in = str(wrong)

    async def _call(
        self,
        operation: str,
        *path: str,
        body: tuple[str, Mapping[str, Any]] | None = None,
        holds: Callable[[Any], bool] = lambda _: True,
        **query: str,
    ) -> Any:
        """One call, and whether it holds. Raises NotAsExpected, after it has been noted."""
        if operation not in self.found.has:
            return None
        self.found.made.add(operation)
        try:
            value = await self.sdk.call(
                operation, self.api.credentials.account_id, *path, body=body, **query
            )
            try:
                fine = holds(value)
            except (KeyError, TypeError, IndexError, ValueError):
                fine = False
            if not fine:
                raise NotAsExpected(f"not what was expected: {value!r}")
        except NotAsExpected as wrong:
            self.found.wrong.setdefault(operation, str(wrong))
            raise
        return value

    async def _configurations(self) -> None:
        model = "ConnectCustomConfiguration"
        wanted: dict[str, Any] = {
            "name": "crm",
            "configurationType": "custom",
            "urlToPublishTo": f"{self.listener.base}/hook",
            "allowEnvelopePublish": "true",
            "allUsers": "true",
            "enableLog": "true",
            "includeHMAC": "true",
            "requiresAcknowledgement": "true",
        }
        if self.found.generation.v2:
            wanted["envelopeEvents"] = "Sent,Completed"
        else:
            wanted |= {
                "deliveryMode": "SIM",
                "eventData": {"version": "restv2.1", "includeData": ["recipients"]},
                "events": ["envelope-sent", "envelope-completed"],
            }
        made = await self._call(
            "createConfiguration",
            body=(model, wanted),
            holds=lambda value: value["connectId"] and value["name"] == "crm",
        )
        self.connect_id = made["connectId"]
        await self._call("listConfigurations", holds=lambda value: _ids(value) == [self.connect_id])
        await self._call(
            "getConfiguration",
            self.connect_id,
            holds=lambda value: _ids(value) == [self.connect_id],
        )
        await self._call(
            "updateConfiguration",
            body=(model, {**wanted, "connectId": self.connect_id, "name": "renamed"}),
            holds=lambda value: value["name"] == "renamed",
        )

    async def _users(self) -> None:
        for operation in ("listUsers", "getConnectAllUsers"):
            await self._call(
                operation,
                self.connect_id,
                holds=lambda value: [one["userId"] for one in value["users"]] == [ADA],
                count="10",
            )

    async def _failures(self) -> None:
        self.listener.status = 500
        await self._publish("env-1")
        (failure,) = await self._until(self._listed)
        await self._call(
            "listEventFailureLogs",
            holds=lambda value: (
                [one["failureId"] for one in value["failures"]] == [failure["failureId"]]
            ),
            from_date="2020-01-01T00:00:00Z",
        )
        await self._call(
            "retryEventForEnvelope",
            "env-1",
            holds=lambda value: value["retryQueue"][0]["envelopeId"] == "env-1",
        )
        await self._until(self._tried_again)
        self.listener.status = 200
        await self._call(
            "retryEventForEnvelopes",
            body=("ConnectFailureFilter", {"envelopeIds": ["env-1"], "synchronous": "true"}),
            holds=lambda value: value["retryQueue"][0]["status"] == "success",
        )
        self.listener.status = 500
        await self._publish("env-2")
        (failure,) = await self._until(self._listed)
        await self._call("deleteEventFailureLog", failure["failureId"])
        await self._gone("deleteEventFailureLog", "failures", failure["failureId"])

    async def _logs(self) -> None:
        listed = await self._call("listEventLogs", holds=lambda value: len(value["logs"]) > 1)
        log_id = listed["logs"][0]["logId"]
        await self._call(
            "getEventLog",
            log_id,
            additional_info="true",
            holds=lambda value: value["logId"] == log_id and value["connectDebugLog"],
        )
        await self._call("deleteEventLog", log_id)
        await self._gone("deleteEventLog", "logs", log_id)
        await self._call("deleteEventLogs")
        if (await self.api.call("GET", "logs")).json["logs"]:
            self.found.wrong["deleteEventLogs"] = "there are entries still"

    async def _oauth(self) -> None:
        model = "ConnectOAuthConfig"
        wanted = {
            "authorizationServerUrl": f"{self.listener.base}/token",
            "clientId": "heliograph",
            "clientSecret": "a secret of the authorization server",
            "scope": "hooks.write",
        }
        for operation, body, scope in (
            ("createConnectOAuthConfig", wanted, "hooks.write"),
            ("getConnectOAuthConfig", None, "hooks.write"),
            ("updateConnectOAuthConfig", {**wanted, "scope": "hooks"}, "hooks"),
        ):
            await self._call(
                operation,
                body=None if body is None else (model, body),
                holds=lambda value, scope=scope: value["scope"] == scope,  # type: ignore[misc]
            )
        await self._call("deleteConnectOAuthConfig")

    async def _mobile_notifiers(self) -> None:
        name = "MobileNotifierConfigurationInformation"
        phones = {"mobileNotifierConfigurations": [{"deviceId": "phone-1", "platform": "ios"}]}
        await self._call(
            "listMobileNotifiers", holds=lambda value: value["mobileNotifierConfigurations"] == []
        )
        for operation in ("updateMobileNotifiers", "deleteMobileNotifiers"):
            await self._call(
                operation,
                body=(name, phones),
                holds=lambda value: value["mobileNotifierConfigurations"][0]["errorDetails"][
                    "errorCode"
                ],
            )

    async def _secrets(self) -> None:
        if "createConnectSecret" not in self.found.has:
            return
        # A key outlives a token that ends, as that of an assertion does: it takes another one.
        await self.sdk.ask(bearer=self.api.credentials.access_token.reveal())
        made = await self._call("createConnectSecret", holds=lambda value: value["secret"])
        await self._call(
            "getConnectSecret",
            holds=lambda value: [one["keyId"] for one in value["secrets"]] == [made["keyId"]],
        )
        await self._call("deleteConnectSecret", "1")
        if (await self.api.call("GET", "secret")).json["secrets"]:
            self.found.wrong["deleteConnectSecret"] = "the key is there still"

    async def _end(self) -> None:
        await self._call("deleteConfiguration", self.connect_id)
        if (await self.api.call("GET", self.api.connect)).json["configurations"]:
            self.found.wrong["deleteConfiguration"] = "the configuration is there still"

    async def _publish(self, envelope_id: str) -> None:
        answer = await self.api.call("POST", "events", published(envelope_id=envelope_id))
        if answer.json["events"][0]["deliveries"] != "1":
            raise NotAsExpected(f"nobody gets an event: {answer.body!r}")

    async def _listed(self) -> Any:
        return (await self.api.call("GET", "failures")).json["failures"]

    async def _tried_again(self) -> Any:
        (failure,) = await self._listed()
        return (failure["retryCount"], failure["deliveryState"]) == ("1", "waiting")

    async def _gone(self, operation: str, listing: str, identity: str) -> None:
        name = f"{listing.removesuffix('s')}Id"
        found = (await self.api.call("GET", listing)).json[listing]
        if identity in [one[name] for one in found]:
            self.found.wrong.setdefault(operation, f"{identity} is there still")

    async def _until(self, look: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(_SECONDS):
            while not (found := await look()):
                await asyncio.sleep(0.01)
            return found


def _ids(value: Any) -> list[str]:
    return [one["connectId"] for one in value["configurations"]]
