"""A listener in Python: pydocusign 1.2, the last that reads posts, in an environment of its own."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")

import pydocusign  # type: ignore[import-not-found]  # noqa: E402  (it warns as it is imported)

parser = pydocusign.DocuSignCallbackParser(xml_source=sys.stdin.buffer.read())
facts: dict[str, Any] = {
    "envelopeId": str(parser.envelope_id),
    "status": str(parser.envelope_status),
    "timeGenerated": parser.time_generated.isoformat(),
    "events": [
        [str(one["status"]), str(one["object"]), one["datetime"].isoformat()]
        for one in parser.events
    ],
    "routingOrders": [one["RoutingOrder"] for one in parser.recipients.values()],
}
sys.stdout.write(json.dumps(facts))
