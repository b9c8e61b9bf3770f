"""Bytes of the REST API to wire structs and back, in JSON and in XML.

Both forms meet in the middle as plain texts, lists and objects: on this wire every scalar is
text ("true", "5", dates), so a JSON `true` or `5` is read as its text (the SDK sends what
its caller gave). Names are compared without regard to case, at every depth, as DocuSign does:
its example of a historical publish writes `includedata` and `IncludeHMAC`. XML is as on the
reference page: namespace `http://www.docusign.com/restapi`, elements in alphabetical order, a
list as a wrapper of equally named items, nulls left out. Fields of ours in a message of DocuSign's
are none of that namespace: a reader that checks the page's schema must accept the answer. They are
left out, or, asked for, come last in a namespace of their own.
"""

from __future__ import annotations

import contextlib
import gc
import re
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec
from lxml import etree

from heliograph.errors import InvalidBody

S = TypeVar("S", bound=msgspec.Struct)

NAMESPACE: Final = "http://www.docusign.com/restapi"
OWN_NAMESPACE: Final = "urn:heliograph:extensions"
"""Of elements that Heliograph has in messages of DocuSign's."""

OURS: Final = "x-heliograph"
"""Marks what DocuSign does not have, in JSON schemas and so in the `msgspec.Meta` of fields."""

_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"

_PREFIXES: Final[Any] = {"i": _INSTANCE, None: NAMESPACE}
_OWN_PREFIXES: Final[Any] = {"h": OWN_NAMESPACE, **_PREFIXES}

MOST_DEPTH: Final = 64
MOST_NODES: Final = 50_000
MOST_ATTRIBUTES: Final = 100
"""Limits of a body: elements and attributes of XML (S11), values and members of JSON."""

_NOT_IN_XML: Final = re.compile(
    r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
)

_ENCODINGS: Final = frozenset({"utf-8", "utf-16", "utf-16le", "utf-16be", "ascii", "us-ascii"})


class Wire(msgspec.Struct, omit_defaults=True, kw_only=True, rename="camel"):
    """A message of the API; fields that are None are not on the wire."""

    ours: ClassVar[bool] = False
    """Whether DocuSign has no such message."""
    also: ClassVar[Mapping[str, str]] = {}
    """Other names under which fields are taken, and the fields' own."""

    shown_once: ClassVar[bool] = False
    """Whether a field that is ours is shown nowhere else, and so not left out of XML."""


def decode_json(body: bytes, shape: type[S], most: int = MOST_NODES) -> S:
    """Read a JSON body of at most so many values.

    Raises:
        InvalidBody: not JSON, beyond the limits, or not of the shape; the message names the
            field.
    """
    # Spares building what cannot be within the limits; the exact count follows.
    if body.count(b",") > 2 * most:
        raise _too_many_values(most)
    try:
        with uncollected():
            value = msgspec.json.decode(body)
        check_json(value, most)
        value = spelled(texts(value), shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBody(f"The body is not valid JSON: {error}") from None
    return _shape(value, shape)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Read JSON without looking for cycles, which it has none of.

    The search goes over all that was read so far, again and again: for nothing but small lists it
    takes ten times as long as reading them.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def check_json(value: Any, most: int) -> None:
    """Check that decoded JSON is at most `MOST_DEPTH` deep and has at most `most` values.

    Raises:
        InvalidBody: it is deeper, or has more.
    """
    count, level = 1, [value]
    for _ in range(MOST_DEPTH + 1):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
        count += len(level)
        if count > most:
            raise _too_many_values(most)
    raise InvalidBody(f"The JSON body is more than {MOST_DEPTH} levels deep.")


def encode_json(value: msgspec.Struct) -> bytes:
    """Write a JSON body."""
    return msgspec.json.encode(value)


def decode_xml(body: bytes, shape: type[S]) -> S:
    """Read an XML body; names count, namespaces do not (clients differ in them).

    Raises:
        InvalidBody: not well-formed, refused for safety (S11), or not of the shape.
    """
    root = _parse(body)
    expected = root_name(shape)
    if etree.QName(root).localname.lower() != expected.lower():
        raise InvalidBody(f"The XML root must be `{expected}`.")
    return _shape(_struct_from_element(root, shape), shape)


def encode_xml(value: msgspec.Struct, *, extensions: bool = False) -> bytes:
    """Write an XML body with the root and namespaces of the reference page.

    With `extensions` the fields that DocuSign does not have are written too, after the others.
    """
    extensions = extensions or (isinstance(value, Wire) and (value.ours or value.shown_once))
    prefixes = _OWN_PREFIXES if extensions else _PREFIXES
    root = etree.Element(f"{{{NAMESPACE}}}{root_name(type(value))}", nsmap=prefixes)
    _fill(root, value, extensions=extensions)
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def root_name(shape: type[msgspec.Struct]) -> str:
    """The element name of a struct: its name with a small first letter."""
    return shape.__name__[0].lower() + shape.__name__[1:]


def item_name(list_name: str) -> str:
    """The element name of a text in a list: that of the list without its plural's s."""
    return list_name.removesuffix("s")


def _shape(value: Any, shape: type[S]) -> S:
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidBody(f"The body is not a valid {root_name(shape)}: {error}") from None


def texts(value: Any) -> Any:
    """A JSON value with every scalar as text; a null is as if it were not there.

    Raises:
        InvalidBody: a text with a NUL.
    """
    if isinstance(value, dict):
        return {key: texts(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [texts(item) for item in value if item is not None]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if "\0" in value:
            # PostgreSQL's text has none; both engines take the same.
            raise InvalidBody("The body has a text with a NUL character.")
        return value
    return str(value)


def spelled(value: Any, shape: type[msgspec.Struct]) -> Any:
    """A JSON value in which the names of a struct's fields have their spelling; others stay.

    Of names that are the same field the last counts, as of equal names in JSON.
    """
    if isinstance(value, list):
        return [spelled(item, shape) for item in value]
    if not isinstance(value, dict):
        return value
    names, fields, found = _names(shape), _fields(shape), {}
    for key, item in value.items():
        name = names.get(key.lower()) or key
        kind, inner = fields.get(name, (dict, str))
        found[name] = item if kind is dict or inner is str else spelled(item, inner)
    return found


def _parse(body: bytes) -> etree._Element:
    # Spares building the tree of a body that is nothing but elements; the exact count follows.
    starts = body.count(b"<") - sum(body.count(other) for other in (b"</", b"<!", b"<?"))
    if starts > 2 * MOST_NODES:
        raise _too_many_nodes()
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        # Its own words may hold a part of the text, which may be a secret's (S7).
        line, column = error.position
        raise InvalidBody(
            f"The body is not well-formed XML: see line {line}, column {column}."
        ) from None
    except ValueError as error:
        raise InvalidBody(f"The body is not well-formed XML: {error}") from None
    document: Any = root.getroottree().docinfo
    if document.doctype:
        raise InvalidBody("The XML body must not have a document type (DOCTYPE).")
    if (document.encoding or "utf-8").lower() not in _ENCODINGS:
        raise InvalidBody("The XML body must be in UTF-8 or UTF-16.")
    _check_size(root)
    return root


def _too_many_values(most: int) -> InvalidBody:
    return InvalidBody(f"The JSON body has more than {most} values.")


def _too_many_nodes() -> InvalidBody:
    return InvalidBody(f"The XML body has more than {MOST_NODES} elements.")


def _check_size(root: etree._Element) -> None:
    nodes, level = 0, [root]
    for _ in range(MOST_DEPTH):
        nodes += len(level)
        if nodes > MOST_NODES:
            raise _too_many_nodes()
        if any(len(element.attrib) > MOST_ATTRIBUTES for element in level):
            raise InvalidBody(f"An XML element has more than {MOST_ATTRIBUTES} attributes.")
        level = [child for element in level for child in element]
        if not level:
            return
    raise InvalidBody(f"The XML body is more than {MOST_DEPTH} elements deep.")


def _struct_from_element(element: etree._Element, shape: type[msgspec.Struct]) -> dict[str, Any]:
    names, fields = _names(shape), _fields(shape)
    value: dict[str, Any] = {}
    for child in element:
        name = names.get(etree.QName(child).localname.lower())
        if name is None or _is_nil(child):
            continue
        value[name] = _value_from_element(child, fields[name])
    return value


def _value_from_element(element: etree._Element, kind: Any) -> Any:
    outer, inner = kind
    if outer is list:
        # An empty wrapper is an empty list; bare text is v2's comma-separated form.
        if len(element) == 0:
            return [part.strip() for part in (element.text or "").split(",") if part.strip()]
        return [
            _struct_from_element(item, inner) if inner is not str else _text(item)
            for item in element
            if not _is_nil(item)
        ]
    if outer is dict:
        return {etree.QName(item).localname: _text(item) for item in element}
    return _struct_from_element(element, inner) if inner is not str else _text(element)


def _is_nil(element: etree._Element) -> bool:
    return element.get(f"{{{_INSTANCE}}}nil") in ("true", "1")


def _text(element: etree._Element) -> Any:
    # Elements where text belongs go on as an object, which the shape then refuses by name.
    if len(element):
        return {etree.QName(child).localname: child.text for child in element}
    return element.text or ""


@cache
def _fields(shape: type[msgspec.Struct]) -> dict[str, tuple[type | None, Any]]:
    """Wire name -> (list, dict or None; the struct or str inside)."""
    return {field.encode_name: _kind(field.type) for field in msgspec.structs.fields(shape)}


@cache
def _names(shape: type[msgspec.Struct]) -> dict[str, str]:
    """Every name that a field is taken under, in small letters -> its wire name."""
    others = getattr(shape, "also", {})
    return {
        **{other.lower(): name for other, name in others.items()},
        **{name.lower(): name for name in _fields(shape)},
    }


def _kind(annotation: Any) -> tuple[type | None, Any]:
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _kind(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        kinds = [_kind(arg) for arg in typing.get_args(annotation) if arg is not type(None)]
        return next((kind for kind in kinds if kind[0] is not None), kinds[0])
    if origin is list:
        return list, _kind(typing.get_args(annotation)[0])[1]
    if origin is dict:
        return dict, str
    return None, annotation


def _fill(element: etree._Element, value: msgspec.Struct, *, extensions: bool) -> None:
    docusigns, ours = _alphabetical(type(value))
    for wire_name, attribute in docusigns:
        _add(element, NAMESPACE, wire_name, getattr(value, attribute), extensions=extensions)
    for wire_name, attribute in ours if extensions else ():
        _add(element, OWN_NAMESPACE, wire_name, getattr(value, attribute), extensions=extensions)


def _add(
    element: etree._Element, space: str, wire_name: str, content: Any, *, extensions: bool
) -> None:
    if content is None:
        return
    child = etree.SubElement(element, f"{{{space}}}{wire_name}")
    if isinstance(content, list):
        for item in content:
            if isinstance(item, msgspec.Struct):
                of_item = etree.SubElement(child, f"{{{space}}}{root_name(type(item))}")
                _fill(of_item, item, extensions=extensions)
            else:
                _set_text(etree.SubElement(child, f"{{{space}}}{item_name(wire_name)}"), item)
    elif isinstance(content, dict):
        for key in sorted(content):
            _set_text(etree.SubElement(child, f"{{{space}}}{key}"), content[key])
    elif isinstance(content, msgspec.Struct):
        _fill(child, content, extensions=extensions)
    else:
        _set_text(child, content)


def _set_text(element: etree._Element, text: str) -> None:
    try:
        element.text = text
    except ValueError:
        # XML 1.0 cannot carry these, not even escaped; JSON shows the original.
        element.text = _NOT_IN_XML.sub("\ufffd", text)


_Names = tuple[tuple[str, str], ...]


@cache
def _alphabetical(shape: type[msgspec.Struct]) -> tuple[_Names, _Names]:
    """(wire name, attribute) of the fields that DocuSign has, and of those that are ours."""
    # By code point without case, as the reference page orders `connectId` and `created`.
    fields = sorted(msgspec.structs.fields(shape), key=lambda field: field.encode_name.lower())
    docusigns = tuple((one.encode_name, one.name) for one in fields if not _is_ours(one.type))
    ours = tuple((one.encode_name, one.name) for one in fields if _is_ours(one.type))
    return docusigns, ours


def _is_ours(annotation: Any) -> bool:
    notes = typing.get_args(annotation)[1:] if typing.get_origin(annotation) is Annotated else ()
    return any(OURS in (getattr(note, "extra_json_schema", None) or {}) for note in notes)
