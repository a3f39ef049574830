"""A real browser without a network, and axe-core: Debian's chromium driven by playwright.

axe-core is looked for where ``FAIRAUDIT_AXE`` says (its ``axe.min.js``, from the npm registry, as ``.ci/run`` installs it),
chromium where ``FAIRAUDIT_CHROMIUM`` says or on the PATH. What is not there skips the tests that need it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@dataclass
class Visit:
    """An opened page and everything that it did that a report must not do.

    Attributes:
        page: the page.
        complaints: console errors and warnings, exceptions of scripts.
        requests: addresses asked for beside the file itself.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = os.environ.get("FAIRAUDIT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium: apt-get install chromium, or name it in FAIRAUDIT_CHROMIUM")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visitor:
    """Opens files from disk, with the network off."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[Any] = []

    def __call__(
        self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> Visit:
        context = self._browser.new_context(
            offline=True, java_script_enabled=script, viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light", reduced_motion="reduce",
        )  # fmt: skip
        self._contexts.append(context)
        visit = Visit(context.new_page())
        address = path.resolve().as_uri()
        page = visit.page
        page.on("console", lambda m: visit.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", lambda r: None if r.url.split("#")[0] == address or r.url.startswith("data:")
                else visit.requests.append(r.url))  # fmt: skip
        page.goto(address)
        return visit

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visitor]:
    visitor = Visitor(chromium)
    yield visitor
    visitor.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The text of axe-core."""
    named = os.environ.get("FAIRAUDIT_AXE")
    if not named:
        pytest.skip("no axe-core: npm install axe-core, and name its axe.min.js in FAIRAUDIT_AXE")
    return Path(named).read_text(encoding="utf-8")
