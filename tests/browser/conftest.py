"""Where the browser tests leave their pictures: a folder that git ignores, for people to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.conftest import cannot

# Five seconds, the default, are not much on two cores that run five tests at once.
expect.set_options(timeout=120_000)

_ROOT = Path(__file__).resolve().parents[2] / ".screenshots"
_HAS_ROBOTO = """() => {
  const canvas = document.createElement("canvas").getContext("2d");
  const width = (font) => { canvas.font = font; return canvas.measureText("iiiWWW").width; };
  return width("16px Roboto, monospace") !== width("16px monospace");
}"""


@pytest.fixture
async def phone_font(browser: Browser) -> None:
    """The font of a phone: with a wider one, lines go on over a second row that fit there."""
    page = await browser.new_page()
    if not await page.evaluate(_HAS_ROBOTO):
        cannot("there is no Roboto on this machine (Debian: apt-get install fonts-roboto-unhinted)")
    await page.close()


@pytest.fixture
def shots(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a test module's pictures; earlier ones stay until they are taken anew."""
    folder = _ROOT / Path(str(request.node.path)).stem.removeprefix("test_")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
