"""Users, groups, tokens and accounts over the API, and what each role may call."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from heliograph.model.accounts import Account, Role, Secret
from heliograph.model.people import NewToken
from heliograph.model.tokens import new_token
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from heliograph.wire import dates
from tests.conftest import YEARS
from tests.listener import LoopbackListener
from tests.operations import all_operations
from tests.server import Client, Reply
from tests.support import ACCOUNT, ManualClock, published

ADA = "1aaaaaaa-0000-4000-8000-000000000000"
BOB = "2aaaaaaa-0000-4000-8000-000000000000"
CYD = "3aaaaaaa-0000-4000-8000-000000000000"
ADMINISTRATORS = {
    "groupId": "1000000000000",
    "groupName": "Administrators",
    "groupType": "adminGroup",
}
EVERYONE = {"groupId": "1000000000001", "groupName": "Everyone", "groupType": "everyoneGroup"}
NAMESPACE = "{http://www.docusign.com/restapi}"


def user(name: str, user_id: str, **fields: Any) -> dict[str, Any]:
    return {"userName": name, "email": f"{name}@example.com", "userId": user_id, **fields}


async def fill(api: Client) -> str:
    """Ada (an administrator), Bob and Cyd; Ada and Bob are in the group whose id is given."""
    made = await api.call("POST", f"{api.account}/groups", {"groups": [{"groupName": "sales"}]})
    assert made.status == 201, made.body
    group: str = made.json["groups"][0]["groupId"]
    inside = {"groupList": [{"groupId": group}]}
    new = [user("ada", ADA, isAdmin="true", **inside), user("bob", BOB, **inside), user("cyd", CYD)]
    made = await api.call("POST", f"{api.account}/users", {"newUsers": new})
    assert made.status == 201, made.body
    return group


async def token_of(api: Client, role: str, user_id: str | None = None, **fields: str) -> str:
    body = {"name": "t", "role": role, **({"userId": user_id} if user_id else {}), **fields}
    made = await api.call("POST", f"{api.account}/tokens", body)
    assert made.status == 201, made.body
    text: str = made.json["accessToken"]
    return text


def bearer(token: str) -> str:
    return f"Bearer {token}"


def names(reply: Reply, key: str = "users") -> list[str]:
    assert reply.status == 200, reply.body
    return [one.get("userName") or one["groupName"] for one in reply.json[key]]


# ------------------------------------------------------------------------------------- users


async def test_users_are_added_listed_changed_and_closed_as_on_docusign(api: Client) -> None:
    users = f"{api.account}/users"
    new = {"userName": "Ada Lovelace", "email": "ada@example.com", "firstName": "Ada"}
    made = await api.call("POST", users, {"newUsers": [new]})
    assert made.status == 201
    (added,) = made.json["newUsers"]
    assert (added["userName"], added["userStatus"]) == ("Ada Lovelace", "Active")
    user_id = added["userId"]
    assert added["uri"] == f"/users/{user_id}"

    found = await api.call("GET", api.account + added["uri"])
    assert found.json | {"createdDateTime": ""} == {
        "createdDateTime": "",
        "email": "ada@example.com",
        "firstName": "Ada",
        "groupList": [EVERYONE | {"usersCount": "1"}],
        "isAdmin": "False",
        "lastName": "",
        "uri": added["uri"],
        "userId": user_id,
        "userName": "Ada Lovelace",
        "userStatus": "Active",
        "userType": "CompanyUser",
    }
    change = {"userId": user_id.upper(), "lastName": "King", "isAdmin": True}
    changed = await api.call("PUT", users, {"users": [change]})
    assert changed.json["users"][0]["lastName"] == "King"
    assert changed.json["users"][0]["isAdmin"] == "True"
    listed = await api.call("GET", users)
    assert listed.json["totalSetSize"] == listed.json["resultSetSize"] == "1"
    assert (listed.json["startPosition"], listed.json["endPosition"]) == ("0", "0")
    assert "nextUri" not in listed.json

    closed = await api.call("DELETE", users, {"users": [{"userId": user_id}]})
    assert closed.json["users"][0]["userStatus"] == "Closed"
    assert (await api.call("DELETE", users, {"users": [{"userId": user_id}]})).status == 404
    assert names(await api.call("GET", f"{users}?status=Active")) == []
    assert names(await api.call("GET", f"{users}?status=closed,Disabled")) == ["Ada Lovelace"]


async def test_fidelity_uri_of_a_user_is_below_its_account_everywhere(api: Client) -> None:
    group = await fill(api)
    connect_id = await api.configure("http://127.0.0.1:4999/")
    for version in ("v2.1", "v2"):
        base = api.account.replace("v2.1", version)
        for path in ("users", f"groups/{group}/users", f"connect/{connect_id}/users"):
            listed = (await api.call("GET", f"{base}/{path}")).json["users"]
            assert {one["uri"] for one in listed} == {f"/users/{one['userId']}" for one in listed}


async def test_fidelity_one_user_is_changed_by_its_own_path(api: Client) -> None:
    await fill(api)
    ada = f"{api.account}/users/{ADA}"
    before = (await api.call("GET", ada)).json
    body = {"lastName": "King", "userId": BOB}  # the path says who
    changed = await api.call(
        "PUT",
        ada.upper().replace("/RESTAPI/V2.1/ACCOUNTS", "/v2/accounts").replace("/USERS/", "/users/"),
        body,
    )
    assert changed.status == 200, changed.body
    del before["groupList"]
    assert changed.json == before | {"lastName": "King"}
    assert (await api.call("GET", f"{api.account}/users/{BOB}")).json["lastName"] == ""
    taken = await api.call("PUT", ada, {"email": "BOB@example.com"})
    assert (taken.status, taken.error) == (409, "USER_ALREADY_EXISTS_IN_ACCOUNT")
    for nobody in (CYD[:-1] + "9", "x"):
        gone = await api.call("PUT", f"{api.account}/users/{nobody}", {"lastName": "King"})
        assert (gone.status, gone.error) == (404, "RESOURCE_NOT_FOUND")


async def test_fidelity_login_information_tells_where_the_account_is(api: Client) -> None:
    await fill(api)
    bob = bearer(await token_of(api, "viewer", BOB))
    base, account_id = api.server.base_uri, api.credentials.account_id
    for version in ("v2", "v2.1"):
        found = await api.call("GET", f"/restapi/{version}/login_information", Authorization=bob)
        account = {
            "accountId": "1",
            "baseUrl": f"{base}/restapi/{version}/accounts/1",
            "email": "bob@example.com",
            "isDefault": "true",
            "name": "First account",
            "siteDescription": "",
            "userId": BOB,
            "userName": "bob",
        }
        assert found.json == {"loginAccounts": [account]}
        path = f"/{version}/login_information?include_account_id_guid=true&api_password=true"
        found = await api.call("GET", path, Authorization=bob)
        assert found.json == {"loginAccounts": [account | {"accountIdGuid": account_id}]}
        listed = await api.call("GET", account["baseUrl"].removeprefix(base) + "/connect")
        assert listed.status == 200
    (nobody,) = (await api.call("GET", "/v2/login_information")).json["loginAccounts"]
    assert (nobody["userId"], nobody["email"]) == ("", "")
    assert (await api.call("GET", "/v2/login_information", Authorization="")).status == 401
    xml = await api.call("GET", "/v2.1/login_information", Accept="application/xml")
    assert etree.fromstring(xml.body).tag == f"{NAMESPACE}loginInformation"


async def test_fidelity_an_account_is_shown_under_its_path(api: Client) -> None:
    account_id = api.credentials.account_id
    for version in ("v2", "v2.1"):
        for name in (account_id, account_id.upper(), "1"):
            found = await api.call("GET", f"/{version}/accounts/{name}")
            assert found.json == {
                "accountIdGuid": account_id,
                "accountName": "First account",
                "externalAccountId": "1",
            }
    assert (await api.call("GET", "/v2/accounts/2")).error == "RESOURCE_NOT_FOUND"


async def test_fidelity_mobile_notifiers_under_version_2(api: Client) -> None:
    path = f"{api.account.replace('v2.1', 'v2')}/connect/mobile_notifiers"
    assert (await api.call("GET", path)).json == {"mobileNotifierConfigurations": []}
    phone = {"mobileNotifierConfigurations": [{"deviceId": "phone-1", "platform": "ios"}]}
    for method in ("PUT", "DELETE"):
        (device,) = (await api.call(method, path, phone)).json["mobileNotifierConfigurations"]
        assert device["errorDetails"]["errorCode"]


async def test_users_are_xml_too(api: Client) -> None:
    body = (
        b'<newUsersDefinition xmlns="http://www.docusign.com/restapi"><newUsers><userInformation>'
        b"<email>ada@example.com</email><userName>Ada</userName>"
        b"</userInformation></newUsers></newUsersDefinition>"
    )
    made = await api.call(
        *("POST", f"{api.account}/users"),
        data=body,
        Content_Type="application/xml",
        Accept="application/xml",
    )
    assert made.status == 201, made.body
    root = etree.fromstring(made.body)
    assert root.tag == f"{NAMESPACE}newUsersSummary"
    listed = await api.call("GET", f"{api.account}/users", Accept="application/xml")
    root = etree.fromstring(listed.body)
    assert root.tag == f"{NAMESPACE}userInformationList"
    place = f"{NAMESPACE}users/{NAMESPACE}userInformation/{NAMESPACE}userName"
    assert root.findtext(place) == "Ada"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ([], "newUsers must be"),
        ([{"email": "a@b.example"}], "userName"),
        ([{"userName": "a"}], "email"),
        ([{"userName": "a", "email": "a b@c.example"}], "email"),
        ([{"userName": "a", "email": "a@b@c"}], "email"),
        ([{"userName": "a\nb", "email": "a@b.example"}], "userName"),
        ([{"userName": "a" * 101, "email": "a@b.example"}], "userName"),
        ([{"userName": "a", "email": "a@b.example", "userId": "user-1"}], "userId must be a GUID"),
        ([{"userName": "a", "email": "a@b.example", "isAdmin": "maybe"}], "isAdmin"),
        ([{"userName": "a", "email": "a@b.example", "groupList": [{"groupId": "x"}]}], "groupId"),
    ],
)
async def test_a_user_that_cannot_be_one_is_refused_by_the_field(
    api: Client, new: list[Any], said: str
) -> None:
    refused = await api.call("POST", f"{api.account}/users", {"newUsers": new})
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_BODY")
    assert said in refused.json["message"]


async def test_users_that_are_there_already_are_refused_all_or_none(api: Client) -> None:
    await fill(api)
    users = f"{api.account}/users"
    new = [{"userName": "dan", "email": "dan@example.com"}, user("ada", CYD[:-1] + "9")]
    refused = await api.call("POST", users, {"newUsers": new})
    assert (refused.status, refused.error) == (409, "USER_ALREADY_EXISTS_IN_ACCOUNT")
    assert "ada@example.com" in refused.json["message"]
    unknown = [user("dan", CYD[:-1] + "9", groupList=[{"groupId": "99"}])]
    assert (await api.call("POST", users, {"newUsers": unknown})).status == 404
    assert names(await api.call("GET", users)) == ["ada", "bob", "cyd"]


async def test_s13_listings_come_in_pages_that_lead_to_each_other(api: Client) -> None:
    await fill(api)
    users = f"{api.account}/users"
    first = await api.call("GET", f"{users}?count=2&email_substring=EXAMPLE")
    assert names(first) == ["ada", "bob"]
    assert (first.json["endPosition"], first.json["totalSetSize"]) == ("1", "3")
    last = await api.call("GET", first.json["nextUri"])
    assert names(last) == ["cyd"]
    assert (last.json["startPosition"], last.json["resultSetSize"]) == ("2", "1")
    assert "nextUri" not in last.json
    assert names(await api.call("GET", last.json["previousUri"])) == ["ada", "bob"]
    for query in ("count=0", "count=1001", "count=x", "start_position=-1", "status=odd"):
        refused = await api.call("GET", f"{users}?{query}")
        assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER"), query
    assert (await api.call("GET", f"{users}?user_name_substring=%00")).status == 400


async def test_users_are_filtered_by_the_parameters_of_docusign(api: Client) -> None:
    group = await fill(api)
    for query, expected in (
        ("user_name_substring=YD", ["cyd"]),
        ("user_name_substring=%25", []),
        ("email=BOB@example.com", ["bob"]),
        (f"group_id={group}", ["ada", "bob"]),
    ):
        assert names(await api.call("GET", f"{api.account}/users?{query}")) == expected, query
    full = await api.call("GET", f"{api.account}/users?additional_info=true&count=1")
    assert full.json["users"][0]["groupList"] == [
        ADMINISTRATORS | {"usersCount": "1"},
        EVERYONE | {"usersCount": "3"},
        {"groupId": group, "groupName": "sales", "groupType": "customGroup", "usersCount": "2"},
    ]


# ------------------------------------------------------------------------------------ groups


async def test_groups_are_added_renamed_filled_and_deleted(api: Client) -> None:
    group = await fill(api)
    groups, members = f"{api.account}/groups", f"{api.account}/groups/{group}/users"
    renamed = await api.call(
        "PUT", groups, {"groups": [{"groupId": group, "groupName": "marketing"}]}
    )
    assert names(renamed, "groups") == ["marketing"]
    put = await api.call("PUT", members, {"users": [{"userId": CYD}]})
    assert names(put) == ["cyd"]
    taken = await api.call("DELETE", members, {"users": [{"userId": ADA}, {"userId": BOB}]})
    assert names(taken) == ["ada", "bob"]
    listed = await api.call("GET", members)
    assert (names(listed), listed.json["totalSetSize"]) == (["cyd"], "1")
    found = await api.call("GET", f"{groups}?search_text=ARK")
    assert found.json["groups"][0]["usersCount"] == "1"
    assert names(await api.call("GET", f"{groups}?search_text=x"), "groups") == []
    assert (await api.call("DELETE", groups, {"groups": [{"groupId": group}]})).status == 200
    for method in ("GET", "PUT", "DELETE"):
        body = None if method == "GET" else {"users": [{"userId": ADA}]}
        assert (await api.call(method, members, body)).status == 404
    for method in ("POST", "PUT", "DELETE"):
        assert (await api.call(method, groups, {"groups": []})).status == 400


def told(reply: Reply, key: str, status: int = 200) -> list[str]:
    """The names in an answer, and the codes of what was not done."""
    assert reply.status == status, reply.body
    return [
        one["errorDetails"]["errorCode"]
        if "errorDetails" in one
        else one.get("userName") or one["groupName"]
        for one in reply.json[key]
    ]


async def test_fidelity_group_calls_answer_each_group_and_each_user(api: Client) -> None:
    group = await fill(api)
    groups, members = f"{api.account}/groups", f"{api.account}/groups/{group}/users"
    wanted = [
        {"groupName": name} for name in ("new", "sales", " ", "new", "a\nb", "Everyone", "law")
    ]
    added = await api.call("POST", groups, {"groups": wanted})
    wrong = "INVALID_GROUP_NAME"
    assert told(added, "groups", 201) == ["new", *5 * [wrong], "law"]
    refused = added.json["groups"][1]
    assert refused == {
        "errorDetails": {"errorCode": wrong, "message": "There is a group 'sales' already."},
        "groupName": "sales",
    }
    new, law = added.json["groups"][0]["groupId"], added.json["groups"][-1]["groupId"]
    changes = [
        {"groupId": new, "groupName": "sales"},
        {"groupId": "99", "groupName": "x"},
        {"groupId": "x", "groupName": "x"},
        {"groupName": "x"},
        {"groupId": new},
        {**EVERYONE, "groupName": "All"},
        {"groupId": law, "groupName": "legal"},
    ]
    renamed = await api.call("PUT", groups, {"groups": changes})
    unknown = "INVALID_GROUP_ID"
    assert told(renamed, "groups") == [wrong, *3 * [unknown], wrong, unknown, "legal"]
    assert renamed.json["groups"][1]["groupId"] == "99"
    gone = [{"groupId": one} for one in (new, "99", "x", ADMINISTRATORS["groupId"], law)]
    deleted = await api.call("DELETE", groups, {"groups": [*gone, {"groupName": "x"}]})
    assert told(deleted, "groups") == ["new", *3 * [unknown], "legal", unknown]

    people = {"users": [{"userId": CYD}, {"userId": CYD[:-1] + "9"}, {"userId": "x"}, {}]}
    nobody = "INVALID_USERID"
    assert told(await api.call("PUT", members, people), "users") == ["cyd", *3 * [nobody]]
    left = await api.call("DELETE", members, people)
    assert told(left, "users") == ["cyd", *3 * [nobody]]
    assert left.json["users"][1]["userId"] == CYD[:-1] + "9"
    assert (await api.call("PUT", members, {"users": []})).status == 400
    for method in ("PUT", "DELETE"):
        somebody = {"users": [{"userId": CYD}]}
        assert (await api.call(method, f"{groups}/99/users", somebody)).status == 404
    xml = await api.call(
        *("POST", groups),
        data=b"<groupInformation><groups><group><groupName>sales</groupName></group></groups>"
        b"</groupInformation>",
        Content_Type="application/xml",
        Accept="application/xml",
    )
    place = ("groups", "group", "errorDetails", "errorCode")
    root = etree.fromstring(xml.body)
    assert root.findtext("/".join(f"{NAMESPACE}{part}" for part in place)) == wrong


async def test_fidelity_group_types_are_in_small_letters_in_answers_of_changes(api: Client) -> None:
    groups = f"{api.account}/groups"
    made = (await api.call("POST", groups, {"groups": [{"groupName": "sales"}]})).json["groups"][0]
    assert made["groupType"] == "customgroup"
    body = {"groups": [{"groupId": made["groupId"], "groupName": "law"}]}
    for method in ("PUT", "DELETE"):
        (changed,) = (await api.call(method, groups, body)).json["groups"]
        assert changed["groupType"] == "customgroup"
        listed = (await api.call("GET", groups)).json["groups"]
        custom = [] if method == "DELETE" else ["customGroup"]
        assert [one["groupType"] for one in listed] == ["adminGroup", "everyoneGroup", *custom]


async def test_fidelity_everyone_and_administrators_are_in_every_account(api: Client) -> None:
    await fill(api)
    groups = f"{api.account}/groups"
    listed = (await api.call("GET", groups)).json
    assert listed["totalSetSize"] == "3"
    assert listed["groups"][:2] == [
        ADMINISTRATORS | {"usersCount": "1"},
        EVERYONE | {"usersCount": "3"},
    ]
    page = await api.call("GET", f"{groups}?count=1&start_position=1&search_text=VER")
    assert names(page, "groups") == []
    for group, users in ((ADMINISTRATORS, ["ada"]), (EVERYONE, ["ada", "bob", "cyd"])):
        members = f"{groups}/{group['groupId']}/users"
        assert names(await api.call("GET", members)) == users
        selected = f"{api.account}/users?group_id={group['groupId']}"
        assert names(await api.call("GET", selected)) == users
        for method in ("PUT", "DELETE"):
            refused = await api.call(method, members, {"users": [{"userId": CYD}]})
            assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")
    both = {"groupList": [ADMINISTRATORS, EVERYONE]}
    new = user("dan", CYD[:-1] + "4", **both)
    refused = await api.call("POST", f"{api.account}/users", {"newUsers": [new]})
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_BODY")
    made = await api.call("POST", f"{api.account}/users", {"newUsers": [new | {"isAdmin": "true"}]})
    assert made.status == 201, made.body
    assert names(await api.call("GET", f"{groups}/{ADMINISTRATORS['groupId']}/users")) == [
        *("ada", "dan")
    ]


async def test_an_event_goes_to_the_configurations_of_its_users_groups(
    api: Client, listener: LoopbackListener
) -> None:
    group = await fill(api)
    await api.configure(listener.base, allUsers="false", groupIds=[group])

    async def deliveries(user_id: str) -> tuple[str, list[str]]:
        event = published(envelope_id=user_id)
        event["data"]["userId"] = user_id
        answer = (await api.call("POST", "events", event)).json["events"][0]
        return answer["deliveries"], [skip["reason"] for skip in answer["skipped"]]

    assert await deliveries(ADA.upper()) == ("1", [])
    count, (reason,) = await deliveries(CYD)
    assert (count, "is not in userIds or groupIds" in reason) == ("0", True)
    member = {"users": [{"userId": CYD}]}
    await api.call("PUT", f"{api.account}/groups/{group}/users", member)
    event = published(envelope_id="later")
    event["data"]["userId"] = CYD
    answer = await api.call("POST", "events", event)
    assert answer.json["events"][0]["deliveries"] == "1"


# ----------------------------------------------------------------------------------- connect


async def test_list_users_tells_whom_a_configuration_includes_and_whom_not(
    api: Client, listener: LoopbackListener
) -> None:
    group = await fill(api)

    async def included(**fields: Any) -> tuple[list[str], list[str], str]:
        connect_id = await api.configure(listener.base, allUsers="false", **fields)
        inside = await api.call("GET", f"{connect_id}/users")
        outside = await api.call("GET", f"{connect_id}/users?list_included_users=false")
        everyone = await api.call("GET", f"{connect_id}/all/users")
        flags = {one["userName"]: one["isIncluded"] for one in everyone.json["users"]}
        assert [name for name, flag in flags.items() if flag == "true"] == names(inside)
        return names(inside), names(outside), inside.json["allUsersSelected"]

    assert await included(userIds=[CYD.upper()]) == (["cyd"], ["ada", "bob"], "false")
    assert await included(groupIds=[group]) == (["ada", "bob"], ["cyd"], "false")
    assert await included(groupIds=[group], userIds=[CYD]) == (["ada", "bob", "cyd"], [], "false")
    assert await included() == ([], ["ada", "bob", "cyd"], "false")
    without = {"allUsersExcept": "true", "groupIds": [group]}
    assert await included(**without) == (["cyd"], ["ada", "bob"], "false")

    everyone = await api.configure(listener.base)
    inside = await api.call("GET", f"{everyone}/users")
    assert (names(inside), inside.json["allUsersSelected"]) == (["ada", "bob", "cyd"], "true")
    assert names(await api.call("GET", f"{everyone}/users?list_included_users=false")) == []
    page = await api.call("GET", f"{everyone}/users?count=1&start_position=1")
    assert (names(page), page.json["totalSetSize"]) == (["bob"], "3")
    shown = page.json["users"][0]
    assert (shown["userId"], shown["accountName"]) == (BOB, "First account")
    filters = "user_name_substring=A&email_substring=ada&status=Active"
    assert names(await api.call("GET", f"{everyone}/users?{filters}")) == ["ada"]
    assert (await api.call("GET", "99/users")).status == 404
    assert (await api.call("GET", "99/all/users")).status == 404
    assert (await api.call("GET", f"{everyone}/users?list_included_users=x")).status == 400


async def test_domain_users_only_means_the_domain_of_the_callers_user(
    api: Client, listener: LoopbackListener
) -> None:
    await fill(api)
    new = {"userName": "eve", "email": "eve@sub.example.com"}
    await api.call("POST", f"{api.account}/users", {"newUsers": [new]})
    connect_id = await api.configure(listener.base)
    path = f"{connect_id}/all/users?domain_users_only=true"
    ada = bearer(await token_of(api, "administrator", ADA))
    assert names(await api.call("GET", path, Authorization=ada)) == ["ada", "bob", "cyd"]
    refused = await api.call("GET", path)  # the token of nobody
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")


# ------------------------------------------------------------------------------------ tokens


async def test_s7_a_tokens_text_is_shown_once_and_never_listed(api: Client) -> None:
    await fill(api)
    ends = dates.render(datetime.now(UTC) + timedelta(hours=1))
    body = {"name": "ci", "userId": ADA, "scopes": "x signature", "expires": ends}
    made = (await api.call("POST", f"{api.account}/tokens", body)).json
    assert (made["role"], made["scopes"], made["expires"]) == ("viewer", "signature x", ends)
    text = made.pop("accessToken")
    assert (await api.call("GET", "logs", Authorization=bearer(text))).status == 200
    listed = await api.call("GET", f"{api.account}/tokens")
    assert text.encode() not in listed.body
    assert made in listed.json["tokens"]
    assert listed.json["totalSetSize"] == "2"  # the first administrator's too
    assert api.credentials.access_token.reveal().encode() not in listed.body
    of_user = await api.call("GET", f"{api.account}/tokens?user_id={ADA.upper()}")
    assert of_user.json["tokens"] == [made]


async def test_a_revoked_token_stops_at_once_and_none_revokes_itself(api: Client) -> None:
    text = await token_of(api, "administrator")
    listed = (await api.call("GET", f"{api.account}/tokens")).json["tokens"]
    ids = {one["name"]: one["tokenId"] for one in listed}
    path = f"{api.account}/tokens/{ids['t']}"
    own = await api.call("DELETE", path, Authorization=bearer(text))
    assert (own.status, own.error) == (400, "INVALID_REQUEST_PARAMETER")
    assert (await api.call("DELETE", f"{api.account}/tokens/{ids['t'].upper()}")).status == 200
    gone = await api.call("GET", "logs", Authorization=bearer(text))
    assert (gone.status, gone.error) == (401, "AUTHORIZATION_INVALID_TOKEN")
    assert (await api.call("DELETE", path)).status == 404
    assert (await api.call("DELETE", f"{api.account}/tokens/x")).status == 404


async def test_a_closed_users_token_stops_and_nobody_closes_himself(api: Client) -> None:
    await fill(api)
    ada = bearer(await token_of(api, "administrator", ADA))
    close = {"users": [{"userId": ADA}]}
    own = await api.call("DELETE", f"{api.account}/users", close, Authorization=ada)
    assert (own.status, own.error) == (400, "INVALID_REQUEST_PARAMETER")
    assert (await api.call("GET", "logs", Authorization=ada)).status == 200
    assert (await api.call("DELETE", f"{api.account}/users", close)).status == 200
    assert (await api.call("GET", "logs", Authorization=ada)).error == "AUTHORIZATION_INVALID_TOKEN"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"name": "x", "role": "root"}, 400),
        ({"name": "x", "expires": "2020-01-01T00:00:00Z"}, 400),
        ({"name": "x", "expires": "tomorrow"}, 400),
        ({"name": "x", "scopes": 'a"b'}, 400),
        ({"name": "x", "userId": "nobody"}, 400),
        ({"name": "x", "userId": CYD}, 404),
    ],
)
async def test_a_token_that_cannot_be_one_is_refused(
    api: Client, body: dict[str, str], status: int
) -> None:
    assert (await api.call("POST", f"{api.account}/tokens", body)).status == status


# ------------------------------------------------------------------------------------- roles

READS = {
    "get_account_information",
    "get_configuration",
    "get_connect_all_users",
    "get_delivery",
    "get_event",
    "get_event_failure_log",
    "get_event_log",
    "get_incident",
    "get_login_information",
    "get_republish_job",
    "get_throughput",
    "get_user",
    "list_account_users",
    "list_audit",
    "list_configurations",
    "list_deliveries",
    "list_event_failure_logs",
    "list_event_logs",
    "list_events",
    "list_group_users",
    "list_groups",
    "list_incidents",
    "list_mobile_notifiers",
    "list_republish_jobs",
    "list_users",
}
"""What a viewer may call."""


async def test_a_viewer_reads_and_changes_nothing(api: Client) -> None:
    operations = all_operations()
    viewers = [operation for operation in operations if operation.role is Role.VIEWER]
    assert {operation.operation_id for operation in viewers} == READS
    viewer = bearer(await token_of(api, "viewer"))
    for operation in operations:
        path = operation.path.replace("{accountId}", api.credentials.account_id)
        path = re.sub(r"\{\w+(:path)?\}", "1", path.replace("{userId}", ADA))
        answer = await api.call(operation.method, f"/v2.1{path}", Authorization=viewer)
        name = operation.operation_id
        if name in READS:
            assert answer.status in (200, 404), name
        else:
            assert (answer.status, answer.error) == (401, "USER_LACKS_PERMISSIONS"), name
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_administrators_token_of_a_user_who_is_a_viewer_only_reads(api: Client) -> None:
    await fill(api)
    bob = bearer(await token_of(api, "administrator", BOB))
    new = {"name": "x"}
    refused = await api.call("POST", f"{api.account}/tokens", new, Authorization=bob)
    assert refused.error == "USER_LACKS_PERMISSIONS"
    change = {"users": [{"userId": BOB, "isAdmin": "true"}]}
    assert (await api.call("PUT", f"{api.account}/users", change)).status == 200
    made = await api.call("POST", f"{api.account}/tokens", new, Authorization=bob)
    assert made.status == 201


# ---------------------------------------------------------------------------------- accounts


async def test_accounts_are_added_by_administrators_of_the_first_one(api: Client) -> None:
    made = await api.call("POST", "/v2.1/accounts", {"accountName": "Second"})
    assert made.status == 201
    assert made.json["externalAccountId"] == "2"
    second = bearer(made.json["accessToken"])
    listed = await api.call("GET", "/restapi/v2.1/accounts")
    assert [one["accountName"] for one in listed.json["accounts"]] == ["First account", "Second"]
    assert b"accessToken" not in listed.body
    path = f"/v2.1/accounts/{made.json['accountId']}/connect"
    assert (await api.call("GET", path, Authorization=second)).status == 200
    assert (await api.call("GET", "/v2.1/accounts/2/connect", Authorization=second)).status == 200
    for method, body in (("GET", None), ("POST", {"accountName": "Third"})):
        refused = await api.call(method, "/v2.1/accounts", body, Authorization=second)
        assert refused.error == "USER_LACKS_PERMISSIONS"
        viewer = bearer(await token_of(api, "viewer"))
        refused = await api.call(method, "/v2.1/accounts", body, Authorization=viewer)
        assert refused.error == "USER_LACKS_PERMISSIONS"
    assert (await api.call("POST", "/v2.1/accounts", {"accountName": ""})).status == 400
    assert (await api.call("GET", "/v2.1/accounts", Authorization="")).status == 401


async def test_s8_another_accounts_people_are_as_if_they_did_not_exist(
    api: Client, listener: LoopbackListener
) -> None:
    group = await fill(api)
    connect_id = await api.configure(listener.base, groupIds=[group])
    token = (await api.call("GET", f"{api.account}/tokens")).json["tokens"][0]["tokenId"]
    made = (await api.call("POST", "/v2.1/accounts", {"accountName": "Second"})).json
    stranger, mine = bearer(made["accessToken"]), f"/v2.1/accounts/{made['accountId']}"
    ada, sales = {"users": [{"userId": ADA}]}, {"groups": [{"groupId": group, "groupName": "x"}]}
    new = {"newUsers": [user("eve", CYD[:-1] + "9", groupList=[{"groupId": group}])]}
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"/users/{ADA}", None),
        ("PUT", "/users", ada),
        ("DELETE", "/users", ada),
        ("POST", "/users", new),
        ("GET", f"/groups/{group}/users", None),
        ("PUT", f"/groups/{group}/users", ada),
        ("DELETE", f"/groups/{group}/users", ada),
        ("POST", "/tokens", {"name": "x", "userId": ADA}),
        ("DELETE", f"/tokens/{token}", None),
        ("GET", f"/connect/{connect_id}/users", None),
        ("GET", f"/connect/{connect_id}/all/users", None),
    ]
    unknown = {ADA: "9" + ADA[1:], group: "999", token: "f" * 32, connect_id: "999"}
    for method, path, body in calls:
        theirs = await api.call(method, mine + path, body, Authorization=stranger)
        assert (theirs.status, theirs.error) == (404, "RESOURCE_NOT_FOUND"), (method, path)
        # What does not exist at all is told of in the same words.
        nowhere_path, nowhere = path, str(body).replace("'", '"')
        for known, other in unknown.items():
            nowhere_path = nowhere_path.replace(f"/{known}", f"/{other}")
            nowhere = nowhere.replace(f'"{known}"', f'"{other}"')
        data = None if body is None else nowhere.encode()
        missing = await api.call(method, mine + nowhere_path, data=data, Authorization=stranger)
        assert (missing.status, missing.error) == (404, "RESOURCE_NOT_FOUND"), (method, path)
        # And with the other account's own path.
        foreign = await api.call(method, api.account + path, body, Authorization=stranger)
        assert (foreign.status, foreign.error) == (404, "RESOURCE_NOT_FOUND")
    for method in ("PUT", "DELETE"):
        theirs = await api.call(method, f"{mine}/groups", sales, Authorization=stranger)
        assert told(theirs, "groups") == ["INVALID_GROUP_ID"]
        nowhere = json.dumps(sales).replace(f'"{group}"', '"999"')
        unknown_one = await api.call(
            method, f"{mine}/groups", data=nowhere.encode(), Authorization=stranger
        )
        assert unknown_one.body.decode().replace("999", group) == theirs.body.decode()
    for path, count in (("/users", "0"), ("/groups", "2"), (f"/users?group_id={group}", "0")):
        listed = await api.call("GET", mine + path, Authorization=stranger)
        assert listed.json["totalSetSize"] == count
    listed = await api.call("GET", f"{mine}/tokens", Authorization=stranger)
    assert listed.json["totalSetSize"] == "1"
    assert names(await api.call("GET", f"{api.account}/users")) == ["ada", "bob", "cyd"]


# ------------------------------------------------------------------------------- other nodes


async def test_a_token_that_another_node_revoked_works_for_a_second_at_most(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    keyring = KeyRing.load(tmp_path / "master.key")
    here, there = [
        await PostgresStore.open(
            *(database_url, keyring, clock), instance=name, lease=YEARS, accept_data_loss=True
        )
        for name in ("here", "there")
    ]
    await here.create_account(Account(ACCOUNT, 1, "First"))
    made = await here.people.add_token(ACCOUNT, Secret("t1"), NewToken("x", Role.VIEWER))
    assert await here.principal("t1") == await there.principal("t1") is not None
    assert await here.people.revoke_token(ACCOUNT, made.token_id)
    assert await here.principal("t1") is None
    clock.move(1)
    assert await there.principal("t1") is None
    await asyncio.gather(here.close(), there.close())


def test_a_tokens_text_has_256_random_bits() -> None:
    text = new_token().reveal()
    assert len(base64.urlsafe_b64decode(text + "=")) == 32
