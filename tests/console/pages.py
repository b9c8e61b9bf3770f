"""Every page of the console by a name for it: what tests open and pictures show."""

from __future__ import annotations

from tests.console.world import World


async def pages(world: World) -> dict[str, str]:
    """The address of every page below the root."""
    failure = (await world.failures_now())[-1]["failureId"]
    return {
        "failures": "failures",
        "failures by error": "failures?group=error",
        "no failures": "failures?error=nothing+like+it",
        "failure": f"failures/{failure}",
        "help": "help",
    }
