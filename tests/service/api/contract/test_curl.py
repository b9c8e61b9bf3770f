"""The page's lines of curl: each does what it says when it is copied into a shell."""

from __future__ import annotations

import asyncio
import html
import os
import re
import uuid
from pathlib import Path

import pytest

from heliograph.api.contract.curl import WithoutExample, curl
from heliograph.api.contract.openapi import document
from heliograph.wire.examples import BODIES
from tests.integration import private_key, public_pem
from tests.listener import LoopbackListener
from tests.needed import program
from tests.operations import BASE_URI, all_operations
from tests.pki import Authority
from tests.server import Client
from tests.support import published

REFUSED_FOR_ITS_WORLD = {
    "create_connect_o_auth_config": "an OAuth server that gives tokens",
    "update_connect_o_auth_config": "the same",
    "update_mobile_notifiers": "what DocuSign has and Heliograph does not",
    "delete_mobile_notifiers": "the same",
}
"""What these need there is not in this test."""


def lines(page: str) -> dict[str, str]:
    """Each operation's line, as it is shown."""
    found = re.findall(r'aria-label="(\w+) with curl"><code>(.*?)</code>', page, re.DOTALL)
    return {name: html.unescape(line) for name, line in found}


async def shell(folder: Path, line: str, **variables: str) -> tuple[int, str, str]:
    """What a line ends with, and says."""
    env = {"PATH": os.environ["PATH"], **variables}
    done = await asyncio.create_subprocess_exec(
        *("bash", "-c", line),
        cwd=folder,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, said = await done.communicate()
    assert done.returncode is not None
    return done.returncode, told.decode(), said.decode()


@pytest.mark.timeout(240)
async def test_each_line_is_a_call_that_the_server_understands(
    api: Client, listener: LoopbackListener, tmp_path: Path
) -> None:
    for needed in ("curl", "jq"):
        program(needed)
    page = (await api.call("GET", "/docs", Authorization="")).body.decode()
    found = lines(page)
    assert found.keys() == {operation.operation_id for operation in all_operations()}
    await api.configure(f"{listener.base}/hook")
    await api.call("POST", "events", published(envelope_id="e-1"))
    (tmp_path / "public.pem").write_text(public_pem(private_key()))
    pair = Authority().pair("heliograph.example")
    (tmp_path / "hg.pem").write_text(pair.certificate)
    (tmp_path / "hg.key").write_text(pair.key)
    nobody = str(uuid.uuid4())
    variables = {
        "HELIOGRAPH_ACCOUNT_ID": api.credentials.account_id,
        "HELIOGRAPH_ACCESS_TOKEN": api.credentials.access_token.reveal(),
        "LISTENER_URL": f"{listener.base}/other",
        "TOKEN_URL": f"{listener.base}/token",
        "CLIENT_SECRET": "secret",
        "NEW_PASSWORD": "correct horse battery",
        "ENVELOPE_ID": "e-1",
        "HMAC_SECRET": "of-no-account-of-docusign",
        "RELAY_NAME": "docusign",
        **dict.fromkeys(("USER_ID", "INTEGRATION_KEY", "EVENT_ID", "KEY_ID"), nobody),
        **dict.fromkeys(("SECRET_ID", "TOKEN_ID", "TRANSACTION_ID"), nobody),
        **{f"{name}_ID": "4711" for name in ("DELIVERY", "FAILURE", "GROUP", "INCIDENT")},
        "JOB_ID": "4711",
        "LOG_ID": "4711",
        "CONNECT_ID": "1",
    }
    statuses = {}
    for name, line in found.items():
        code, told, said = await shell(
            tmp_path, line.replace("curl", "curl -sS -o answer -w '%{http_code}'", 1), **variables
        )
        assert code == 0, (name, said)
        statuses[name] = told
        wrong = told in ("400", "405", "406", "415") or told >= "500"
        answer = (tmp_path / "answer").read_text() if (tmp_path / "answer").exists() else ""
        assert not wrong or name in REFUSED_FOR_ITS_WORLD, (name, told, answer)
    done = {name for name, status in statuses.items() if status < "300"}
    assert len(done) > len(found) / 2
    assert {"publish_events", "create_configuration", "update_client_certificate"} <= done


async def test_a_variable_that_is_not_set_is_named_and_nothing_is_sent(
    api: Client, tmp_path: Path
) -> None:
    page = (await api.call("GET", "/docs", Authorization="")).body.decode()
    code, told, said = await shell(tmp_path, lines(page)["delete_configuration"])
    assert (code != 0, told, "HELIOGRAPH_ACCESS_TOKEN" in said) == (True, "", True)
    given = {"HELIOGRAPH_ACCESS_TOKEN": "t", "HELIOGRAPH_ACCOUNT_ID": "1"}
    code, told, said = await shell(tmp_path, lines(page)["delete_configuration"], **given)
    assert (code != 0, told, "CONNECT_ID" in said) == (True, "", True)


def test_a_body_without_an_example_is_noticed() -> None:
    shown = document(all_operations(), BASE_URI)["paths"]
    call = shown["/v2.1/accounts/{accountId}/tokens"]["post"]
    with pytest.raises(WithoutExample):
        curl("POST", "/", {**call, "operationId": "create_another"}, BASE_URI)
    with_body = {one.operation_id for one in all_operations() if one.body or one.raw_types}
    assert BODIES.keys() <= with_body
