"""Every page of the console by a name for it: what tests open and pictures show."""

from __future__ import annotations

from urllib.parse import urlencode

from tests.console.world import World


async def pages(world: World) -> dict[str, str]:
    """The address of every page below the root."""
    oldest = (await world.failures_now())[-1]
    failure, envelope = oldest["failureId"], oldest["envelopeId"]
    post = (await world.api.call("GET", "logs")).json["logs"][0]["logId"]
    return {
        "now": "now",
        "incidents": "incidents",
        "incident": f"incidents/{await world.incident()}",
        "no incidents": "incidents?state=closed",
        "failures of an incident": f"failures?incident_id={await world.incident()}",
        "failures": "failures",
        "failures by error": "failures?group=error",
        "no failures": "failures?error=nothing+like+it",
        "failure": f"failures/{failure}",
        "listeners": "listeners",
        "listener": f"listeners/{world.listeners['orders']}",
        "new listener": "listeners/new",
        "edit listener": f"listeners/{world.listeners['billing']}/edit",
        "delete listener": f"listeners/{world.listeners['billing']}/delete",
        "log": "log",
        "empty log": "log?error=nothing+like+it",
        "post": f"log/{post}",
        "envelope": f"envelopes?{urlencode({'q': envelope})}",
        "no envelope": "envelopes?q=nobody",
        "envelopes of a sender": f"envelopes?{urlencode({'q': oldest['email']})}",
        "audit": "audit",
        "audit of an action": "audit?action=configuration.created",
        "empty audit": "audit?actor=nobody",
        "settings": "settings",
        "jobs": "republish",
        "job": f"republish/{await world.job()}",
        "help": "help",
    }
