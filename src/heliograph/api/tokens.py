"""Tokens of an account, and accounts themselves. Extensions: DocuSign has no such calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.api.contract import paging, parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.errors import InvalidParameter, LacksPermission, NotFound
from heliograph.model.tokens import new_token
from heliograph.store import Store
from heliograph.wire import accounts, tokens
from heliograph.wire.names import LONGEST_EMAIL

_TOKENS: Final = "/accounts/{accountId}/tokens"

_USER_ID: Final = parameters.text("user_id", "Of this user.", LONGEST_EMAIL, printable=True)
_BILLING_PLAN: Final = parameters.unused("preview_billing_plan")


class Tokens:
    """All of it is an administrator's; accounts are those of the first account."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                operation_id="list_tokens",
                method="GET",
                path=_TOKENS,
                handler=self._list_tokens,
                summary="Lists the tokens that work, newest first.",
                answer=tokens.ApiTokens,
                query=(_USER_ID, *paging.PART),
                extension=True,
            ),
            Operation(
                operation_id="create_token",
                method="POST",
                path=_TOKENS,
                handler=self._add_token,
                status=201,
                lasting=True,
                body=tokens.ApiToken,
                summary="Makes a token for the account or for one of its users.",
                answer=tokens.ApiToken,
                extension=True,
            ),
            Operation(
                operation_id="delete_token",
                method="DELETE",
                path=f"{_TOKENS}/{{tokenId}}",
                handler=self._revoke_token,
                summary="Revokes a token.",
                extension=True,
            ),
            Operation(
                operation_id="list_accounts",
                method="GET",
                path="/accounts",
                handler=self._list_accounts,
                summary="Lists every account of the installation, for its operators.",
                answer=accounts.AccountList,
                extension=True,
            ),
            Operation(
                operation_id="create_account",
                method="POST",
                path="/accounts",
                handler=self._add_account,
                status=201,
                lasting=True,
                body=accounts.NewAccountDefinition,
                summary="Makes an account and its first token, for the operators.",
                answer=accounts.NewAccountSummary,
                query=(_BILLING_PLAN,),
                extension=True,
            ),
        ]

    async def _list_tokens(self, call: Call) -> tokens.ApiTokens:
        part = paging.Part.read(call.query)
        user_id = _USER_ID.read(call.query)
        page = await self._store.people.tokens(
            call.account_id, part.start, part.count, user_id and user_id.lower()
        )
        answer = tokens.ApiTokens(tokens=[tokens.token_to_wire(token) for token in page.tokens])
        return paging.paged(answer, call, part, len(page.tokens), page.total)

    async def _add_token(self, call: Call) -> tokens.ApiToken:
        wanted = tokens.new_token(call.body, self._store.clock.now())
        text = new_token()
        token = await self._store.people.add_token(call.account_id, text, wanted)
        return tokens.token_to_wire(token, text)

    async def _revoke_token(self, call: Call) -> None:
        token_id = call.path["tokenId"].lower()
        if token_id == call.principal.token_id:
            # Whoever is left without an administrator's token cannot make one.
            raise InvalidParameter("A token cannot revoke itself: use another one.")
        if not await self._store.people.revoke_token(call.account_id, token_id):
            raise NotFound("There is no token with this tokenId.")

    async def _list_accounts(self, call: Call) -> accounts.AccountList:
        await self._check_operator(call)
        listed = await self._store.accounts()
        return accounts.AccountList(
            accounts=[accounts.account_to_wire(account) for account in listed]
        )

    async def _add_account(self, call: Call) -> accounts.NewAccountSummary:
        await self._check_operator(call)
        text = new_token()
        account = await self._store.people.add_account(accounts.account_name(call.body), text)
        return accounts.account_to_wire(account, text)

    async def _check_operator(self, call: Call) -> None:
        first = min(await self._store.accounts(), key=lambda account: account.external_id)
        if call.account_id != first.account_id:
            raise LacksPermission(
                "This user lacks sufficient permissions to access this resource: accounts are "
                "the business of the first account's administrators."
            )
