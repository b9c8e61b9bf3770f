"""Pictures of every page: `python -m tests.console.screenshots FOLDER`.

Each page light and dark, wide and on a telephone of 360 pixels, of a server that is started and
furnished for it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from heliograph.watch import logs
from tests.chromium import chromium
from tests.console.pages import pages
from tests.console.world import furnish, sign_in
from tests.listener import listening
from tests.server import serving

SIZES = {"wide": 1280, "narrow": 360}


async def take(folder: Path, work: Path) -> None:
    """Write the pictures."""
    async with (
        listening() as listener,
        serving(work) as api,
        chromium(work) as browser,
    ):
        world = await furnish(api, listener)
        await browser.open(f"{world.root}sign-in")
        addresses = {"sign-in": "sign-in"}
        for signed_in in (False, True):
            if signed_in:
                await sign_in(browser, world)
                addresses = await pages(world)
            for name, address in addresses.items():
                for size, width in SIZES.items():
                    for dark in (False, True):
                        await browser.shows_as(dark=dark, width=width)
                        await browser.open(f"{world.root}{address}")
                        await browser.find("main h1")
                        file = f"{name.replace(' ', '-')}-{size}-{'dark' if dark else 'light'}.png"
                        (folder / file).write_bytes(await browser.picture())


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, logs.writing("json", "error"):
        asyncio.run(take(folder, Path(work)))


if __name__ == "__main__":
    main()
