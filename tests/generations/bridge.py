# mypy: ignore-errors
"""Calls DocuSign's SDK for Python, of whichever version is installed beside this program.

One call a line of standard input, one answer a line of standard output.
"""

import inspect
import json
import os
import re
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

warnings.simplefilter("ignore")

import docusign_esign  # noqa: E402

try:
    from docusign_esign.client.api_exception import ApiException
    from docusign_esign.client.configuration import Configuration
except ImportError:  # 1.0
    from docusign_esign.configuration import Configuration
    from docusign_esign.rest import ApiException

# Before any client is made: it reads the authority once.
Configuration().ssl_ca_cert = os.environ["CA"]
client = docusign_esign.ApiClient(host=os.environ["BASE"])


class Text(str):
    """A text that 1.0 may decode, and the others take as it is."""

    def decode(self, *_):
        return str(self)


def snake(name):
    return re.sub("(?<=.)([A-Z])", r"_\1", name).lower()


def sign_in(host, key, client_id, user_id):
    if hasattr(client, "request_jwt_user_token"):
        pem = Path(key).read_bytes()
        scopes = ["signature", "impersonation"]
        made = client.request_jwt_user_token(client_id, user_id, host, pem, 3600, scopes)
        token = made.access_token
        client.set_default_header("Authorization", "Bearer " + token)
    else:  # 1.0 keeps the token to itself
        client.configure_jwt_authorization_flow(key, host, client_id, user_id, 3600)
        token = client.default_headers["Authorization"].split(" ")[-1]
    answer = {"token": token}
    if hasattr(client, "get_user_info"):
        client.set_oauth_host_name(host)
        info = client.get_user_info(token)
        answer["userinfo"] = {"sub": info.sub, "email": info.email}
    else:
        made = docusign_esign.AuthenticationApi(client).login()
        account = made.login_accounts[0]
        answer["userinfo"] = {"sub": account.user_id, "email": account.email}
    return answer


def call(request):
    given = dict(request["query"])
    body = request["body"]
    if body is not None:
        document = SimpleNamespace(data=Text(json.dumps(body["value"])))
        given[snake(body["model"])] = client.deserialize(document, body["model"])
    api = getattr(docusign_esign, request["api"])(client)
    made = getattr(api, snake(request["operation"]))(*request["path"], **given)
    return {"value": client.sanitize_for_serialization(made)}


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def answer(request):
    if "list" in request:
        api = getattr(docusign_esign, request["list"])
        names = [name for name, _ in inspect.getmembers(api, inspect.isfunction)]
        usual = [one for one in names if one[0] != "_" and not one.endswith("_with_http_info")]
        return {"operations": [camel(one) for one in usual]}
    try:
        if "sign_in" in request:
            given = request["sign_in"]
            return sign_in(given["host"], given["key"], given["client"], given["user"])
        return call(request)
    except ApiException as refusal:
        body = refusal.body
        return {
            "status": refusal.status,
            "body": body.decode() if isinstance(body, bytes) else str(body),
        }
    except Exception as problem:
        return {"broke": repr(problem)}


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
    sys.stdout.flush()
