"""Whether what a block has written is what its page shows.

`…` stands for what was left out: any text, or further fields or items of JSON. GUIDs, other
long ids, times and ports are others each time: they are compared by their form.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.docs.pages import Answer

CUT: Final = "…"

_FORMS: Final = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "GUID"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "HEX"),
    (re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "TIME"),
    (re.compile(r"\b(127\.0\.0\.1|localhost):\d+"), r"\1:PORT"),
)


def same(shown: Answer, written: str) -> bool:
    """Whether the text that was written fits what is shown."""
    if shown.language == "json":
        try:
            return _same_json(json.loads(shown.text), json.loads(written))
        except ValueError:
            return False
    if shown.language == "xml":
        return _same_text(_flat(shown.text), _flat(written))
    return _same_text(shown.text.strip(), written.strip())


def _same_json(shown: Any, written: Any) -> bool:
    if shown == CUT:
        return True
    if isinstance(shown, dict) and isinstance(written, dict):
        wanted = {name: value for name, value in shown.items() if name != CUT}
        if not (
            wanted.keys() <= written.keys() if CUT in shown else wanted.keys() == written.keys()
        ):
            return False
        return all(_same_json(value, written[name]) for name, value in wanted.items())
    if isinstance(shown, list) and isinstance(written, list):
        if shown[-1:] == [CUT]:
            shown, written = shown[:-1], written[: len(shown) - 1]
        return len(shown) == len(written) and all(map(_same_json, shown, written))
    return type(shown) is type(written) and _same_text(str(shown), str(written))


def _same_text(shown: str, written: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in _by_form(shown).split(CUT))
    return re.fullmatch(pattern, _by_form(written), re.DOTALL) is not None


def _by_form(text: str) -> str:
    for pattern, form in _FORMS:
        text = pattern.sub(form, text)
    return text


def _flat(document: str) -> str:
    return re.sub(r">\s+<", "><", document.strip())
