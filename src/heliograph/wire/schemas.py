"""JSON Schema, with its XML form, of the structs that the API's messages are read into.

What a struct does not say by its types stands in the `msgspec.Meta` of its fields.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from heliograph.wire.codec import NAMESPACE, OURS, OWN_NAMESPACE, Wire, item_name, root_name
from heliograph.wire.rest import ConnectCustomConfiguration
from heliograph.wire.version2 import TEXTS

Schema = dict[str, Any]

_REFERENCE: Final = "#/components/schemas/"


def reference(shape: type[msgspec.Struct]) -> Schema:
    """A reference to a struct's schema."""
    return {"$ref": _REFERENCE + shape.__name__}


def properties(shape: type[msgspec.Struct], *, v2: bool = False) -> dict[str, Schema]:
    """The schemas of a struct's fields, by the names that they have in a message."""
    fields = msgspec.structs.fields(shape)
    return {field.encode_name: _field(shape, field, v2=v2) for field in fields}


def components(roots: Iterable[type[msgspec.Struct]], *, v2: bool = False) -> dict[str, Schema]:
    """The schemas of these structs and of all that they hold, by name."""
    shapes: dict[str, type[msgspec.Struct]] = {}
    left = list(roots)
    while left:
        shape = left.pop()
        if shape.__name__ not in shapes:
            shapes[shape.__name__] = shape
            left += _inner(shape)
        elif shapes[shape.__name__] is not shape:
            raise ValueError(f"Two messages are called {shape.__name__}.")
    return {name: _schema(shapes[name], v2=v2) for name in sorted(shapes)}


def _inner(shape: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    kinds = (_kind(field.type)[0] for field in msgspec.structs.fields(shape))
    kinds_inside = (typing.get_args(kind)[0] if typing.get_args(kind) else kind for kind in kinds)
    return [kind for kind in kinds_inside if _is_struct(kind)]


def _schema(shape: type[msgspec.Struct], *, v2: bool) -> Schema:
    fields = msgspec.structs.fields(shape)
    schema: Schema = {
        "type": "object",
        "description": " ".join((inspect.getdoc(shape) or "").replace("`", "").split()),
        "xml": {"name": root_name(shape), "namespace": NAMESPACE},
        "properties": properties(shape, v2=v2),
    }
    if required := [field.encode_name for field in fields if field.required]:
        schema["required"] = required
    if issubclass(shape, Wire) and shape.ours:
        schema[OURS] = True
    return schema


def _field(shape: type[msgspec.Struct], field: msgspec.structs.FieldInfo, *, v2: bool) -> Schema:
    kind, about = _kind(field.type)
    if v2 and shape is ConnectCustomConfiguration and field.name in TEXTS:
        kind, about = str, {"description": "Several, with commas between."}
    schema = {**_of_kind(kind, field.encode_name), **about}
    if OURS in about:
        schema["xml"] = {**schema.get("xml", {}), "namespace": OWN_NAMESPACE}
    return schema


def _of_kind(kind: Any, name: str) -> Schema:
    if _is_struct(kind):
        return reference(kind)
    if typing.get_origin(kind) is list:
        (inner,) = typing.get_args(kind)
        text: Schema = {"type": "string", "xml": {"name": item_name(name)}}
        items = reference(inner) if _is_struct(inner) else text
        return {"type": "array", "items": items, "xml": {"wrapped": True}}
    if typing.get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": "string"}


def _kind(annotation: Any) -> tuple[Any, Mapping[str, Any]]:
    """The type without None and without v2's text for a list, and what is said of it."""
    if typing.get_origin(annotation) is Annotated:
        inner, *notes = typing.get_args(annotation)
        kind, about = _kind(inner)
        return kind, {**about, **_about(notes)}
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [_kind(inner) for inner in typing.get_args(annotation) if inner is not type(None)]
        lists = [kind for kind in kinds if typing.get_origin(kind[0]) is list]
        return (lists or kinds)[0]
    return annotation, {}


def _about(notes: Iterable[object]) -> Mapping[str, Any]:
    about: Schema = {}
    for note in notes:
        if isinstance(note, msgspec.Meta):
            about |= note.extra_json_schema or {}
            if note.description is not None:
                about["description"] = note.description
            if note.examples is not None:
                about["examples"] = list(note.examples)
    return about


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
