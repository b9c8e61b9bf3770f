"""Every call and every field of the official SDK that is about Connect, beside ours."""

from __future__ import annotations

import inspect
import re
import types
import typing
from typing import Any

import docusign_esign
import msgspec
import pytest

from heliograph.wire import historical, people, rest
from tests.operations import every_operation

HISTORICAL = "create_historical_envelope_publish_transaction"
CALLS = sorted(
    name.removesuffix("_with_http_info")
    for name, _ in inspect.getmembers(docusign_esign.ConnectApi, inspect.isfunction)
    if name.endswith("_with_http_info") and "mobile_notifier" not in name
)
CALLS.append(HISTORICAL)
OURS = {operation.operation_id: operation for operation in every_operation()}
STRUCTS = {
    name: found
    for module in (people, historical, rest)
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, msgspec.Struct)
}


def source(call: str) -> str:
    api = docusign_esign.EnvelopesApi if call == HISTORICAL else docusign_esign.ConnectApi
    return inspect.getsource(getattr(api, f"{call}_with_http_info"))


def named(pattern: str, call: str) -> str | None:
    found = re.search(pattern, source(call))
    return found and found[1]


def test_the_sdk_has_the_twenty_calls_that_we_think_it_has() -> None:
    assert len(CALLS) == 20


@pytest.mark.parametrize("call", CALLS)
def test_each_call_of_the_sdk_is_an_operation_with_its_path_query_body_and_answer(
    call: str,
) -> None:
    ours = OURS[call]
    path = named(r"resource_path = '([^']+)'", call)
    assert path == f"/v2.1{ours.path.replace(':path', '')}"
    assert named(r"call_api\(resource_path, '(\w+)'", call) == ours.method
    asked = set(re.findall(r"query_params\['(\w+)'\]", source(call)))
    assert asked <= {parameter.name for parameter in ours.query}
    assert named(r"response_type='(\w+)'", call) == (ours.answer and ours.answer.__name__)
    body = named(r"body_params = params\['(\w+)'\]", call)
    expected = None if body is None else body.replace("_", "")
    assert expected == (ours.body and ours.body.__name__.lower())


def definitions() -> dict[str, type[Any]]:
    """Every model that a call of the SDK takes or gives, with those inside."""
    found: dict[str, type[Any]] = {"ErrorDetails": docusign_esign.ErrorDetails}
    left = [
        shape.__name__ for call in CALLS for shape in (OURS[call].body, OURS[call].answer) if shape
    ]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = getattr(docusign_esign, name)
            inside = " ".join(found[name].swagger_types.values())
            left += re.findall(r"[A-Z]\w+", inside)
    return found


@pytest.mark.parametrize("name", sorted(definitions()))
def test_each_field_of_each_model_is_ours_and_of_its_kind(name: str) -> None:
    model = definitions()[name]
    ours = {field.encode_name: _kind(field.type) for field in msgspec.structs.fields(STRUCTS[name])}
    theirs = {
        model.attribute_map[attribute]: kind for attribute, kind in model.swagger_types.items()
    }
    assert {field: ours.get(field) for field in theirs} == theirs


def _kind(annotation: Any) -> str:
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        kinds = [_kind(one) for one in inside if one is not type(None)]
        return max(kinds, key=lambda kind: kind.startswith(("list", "dict")))
    if origin is list:
        return f"list[{_kind(inside[0])}]"
    return "dict(str, str)" if origin is dict else str(annotation.__name__)
