"""A body for each operation that takes one, as it is shown with the call.

A name in braces and capitals stands for what the caller puts in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_USERS: Final = '{"users": [{"userId": "{USER_ID}"}]}'

BODIES: Final[Mapping[str, str]] = {
    "publish_events": '{"event": "envelope-completed", "data": {"envelopeId": "{ENVELOPE_ID}", '
    '"envelopeSummary": {"status": "completed", "emailSubject": "Lease"}}}',
    "create_configuration": '{"name": "crm", "urlToPublishTo": "{LISTENER_URL}", "events": '
    '["envelope-completed"], "configurationType": "custom", "deliveryMode": "SIM", "eventData": '
    '{"version": "restv2.1"}, "allowEnvelopePublish": "true", "allUsers": "true", '
    '"enableLog": "true"}',
    "update_configuration": '{"connectId": "{CONNECT_ID}", "pausePublish": "true"}',
    "retry_event_for_envelopes": '{"envelopeIds": ["{ENVELOPE_ID}"]}',
    "update_republish_job": '{"state": "paused"}',
    "acknowledge_incident": '{"note": "their deploy"}',
    "create_connect_o_auth_config": '{"authorizationServerUrl": "{TOKEN_URL}", "clientId": '
    '"heliograph", "clientSecret": "{CLIENT_SECRET}"}',
    "create_relay": '{"name": "docusign", "hmacSecrets": ["{HMAC_SECRET}"]}',
    "update_relay": '{"hmacSecrets": ["{HMAC_SECRET}"]}',
    "update_connect_o_auth_config": '{"clientSecret": "{CLIENT_SECRET}"}',
    "create_historical_envelope_publish_transaction": '{"envelopes": ["{ENVELOPE_ID}"], "config": '
    '{"name": "archive", "urlToPublishTo": "{LISTENER_URL}"}}',
    "update_mobile_notifiers": "{}",
    "delete_mobile_notifiers": "{}",
    "create_users": '{"newUsers": [{"userName": "Ada Lovelace", "email": "ada@example.com"}]}',
    "update_users": '{"users": [{"userId": "{USER_ID}", "email": "countess@example.com"}]}',
    "delete_users": _USERS,
    "update_user": '{"lastName": "King"}',
    "create_groups": '{"groups": [{"groupName": "Sales"}]}',
    "update_groups": '{"groups": [{"groupId": "{GROUP_ID}", "groupName": "Sales and support"}]}',
    "delete_groups": '{"groups": [{"groupId": "{GROUP_ID}"}]}',
    "update_group_users": _USERS,
    "delete_group_users": _USERS,
    "create_token": '{"name": "dashboard", "role": "viewer"}',
    "create_account": '{"accountName": "Northwind Ltd"}',
    "create_application": '{"name": "CRM", "redirectUris": ["https://crm.example.com/back"]}',
    "update_application": '{"role": "viewer"}',
    "create_consent": '{"integrationKey": "{INTEGRATION_KEY}", "userId": "{USER_ID}"}',
    "update_user_password": '{"newPassword": "{NEW_PASSWORD}"}',
}
"""By operation."""

BODIES_OF_FILES: Final[Mapping[str, str]] = {
    "add_application_key": "jq -n --rawfile publicKey public.pem '$ARGS.named'",
    "update_client_certificate": "jq -n --rawfile certificate hg.pem --rawfile privateKey hg.key "
    "'$ARGS.named'",
}
"""Those that PEM files make: the commands that do, by operation."""
