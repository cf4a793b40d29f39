"""A browser, and pages in it that are held to what no page may do; a hub, and a connection to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.e2e import page_scene
from tests.e2e.hub_scene import HubProcess
from tests.e2e.page_scene import CHROMIUM_ARGUMENTS, Watch, serving
from tests.parts import built_page, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.e2e.hub_scene import Client


EXPECTED_WITHIN_MS = 30_000
"""What a page shows comes at once; a machine that stalls for seconds is no fault of the page."""


class Visit(Protocol):
    """Open an address in a page of its own."""

    def __call__(self, origin: str, path: str = "/", *, may: tuple[str, ...] = (), **context: object) -> Page:
        """The page; complaints that contain a word of `may` are allowed. `context`: Playwright's context options."""
        ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, headless. For a module, not the session: while it lives, asyncio.run fails in this process."""
    path = program("chromium")
    built_page()
    expect.set_options(timeout=EXPECTED_WITHIN_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages; the test fails if one of them logs an error, asks another origin, or gets an error answered."""
    watched: list[tuple[Watch, tuple[str, ...]]] = []

    def open_page(origin: str, path: str = "/", *, may: tuple[str, ...] = (), **context: object) -> Page:
        options = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}} | context
        page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(30_000)
        watched.append((Watch(page, origin), may))
        page.goto(origin + path)
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    for watch, may in watched:
        assert [each for each in watch.complaints if not any(word in each for word in may)] == []


@pytest.fixture(scope="module")
def quiet_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A hub nobody has written to."""
    with page_scene.hub(tmp_path_factory.mktemp("quiet-hub")) as url:
        yield url


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for a module's tests together; a module that wants it filled has a fixture of this name."""
    with HubProcess(tmp_path_factory.mktemp("hub")) as process:
        yield process


@pytest.fixture
def client(hub: HubProcess) -> Iterator[Client]:
    """A connection to it."""
    with hub.client() as connected:
        yield connected


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo cluster: six simulated nodes, one whose sync fails."""
    folder = tmp_path_factory.mktemp("demo")
    with serving(folder, "up", "--demo", "--listen", "127.0.0.1:0", "--data", str(folder / "data")) as url:
        yield url
