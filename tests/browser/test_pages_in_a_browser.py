"""Every kind of page in a real browser: nothing is fetched, nothing is complained of, and everybody can read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Visitor
from tests.browser.pages import PAGES

pytestmark = pytest.mark.browser

KEYS = """([at, column]) => [...document.querySelectorAll('table')[at].tBodies[0].rows]
    .map(row => row.cells[column].dataset.key).filter(key => key !== undefined && key !== 'nan')"""
"""Sort keys of a column, in the order in which they are shown."""

MOST_NUMBERS = f"""() => [...document.querySelectorAll('table')].flatMap((table, at) =>
    [...table.tHead.rows[0].cells].map((head, column) => [head.querySelector('button') ? ({KEYS})([at, column]).length : -1,
                                                          at, column])).sort((a, b) => b[0] - a[0])[0].slice(1)"""
"""(table, column) of the sortable column that has most numbers."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    files = {}
    for name, make in PAGES.items():
        files[name] = folder / f"{name.replace(' ', '-')}.html"
        files[name].write_text(make(), encoding="utf-8")
    return files


@pytest.mark.parametrize("name", PAGES)
def test_it_opens_from_disk_with_the_network_off(name: str, written: dict[str, Path], visit: Visitor) -> None:
    opened = visit(written[name])
    page = opened.page
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    assert opened.complaints == []
    assert opened.requests == []
    assert page.title() != "taken"  # a name that is a script was shown, not run
    assert page.locator("h1").count() == 1
    for image in page.locator("img").all():
        image.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(name: str, dark: bool, written: dict[str, Path], visit: Visitor, axe: str) -> None:
    page = visit(written[name], dark=dark).page
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    page.evaluate(axe)  # injected by the driver, which the page's security policy does not bind
    found: list[dict[str, Any]] = page.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)")
    assert [(v["id"], v["nodes"][0]["html"][:300], v["nodes"][0].get("failureSummary")) for v in found] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(name: str, width: int, written: dict[str, Path], visit: Visitor) -> None:
    page = visit(written[name], width=width).page
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["audit", "comparison", "experiment"])
def test_tables_are_sorted_by_their_headings_with_the_keyboard(name: str, written: dict[str, Path], visit: Visitor) -> None:
    page = visit(written[name]).page
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    at, column = page.evaluate(MOST_NUMBERS)
    head = page.locator("table").nth(at).locator("thead th").nth(column)
    button = head.get_by_role("button")

    def keys() -> list[float]:
        return [float(key) for key in page.evaluate(KEYS, [at, column])]

    button.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    rising = keys()
    assert rising == sorted(rising)
    assert len(set(rising)) >= 2
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert keys() == sorted(rising, reverse=True)


@pytest.mark.parametrize("name", PAGES)
def test_it_reads_the_same_without_script(name: str, written: dict[str, Path], visit: Visitor) -> None:
    opened = visit(written[name], script=False)
    assert opened.page.locator("h1").inner_text()
    with_script = visit(written[name])
    rows = [one.page.locator("tbody tr").count() for one in (opened, with_script)]
    assert rows[0] == rows[1] > 0


@pytest.mark.parametrize("name", PAGES)
def test_it_prints_on_paper(name: str, written: dict[str, Path], visit: Visitor) -> None:
    """A4 in light colours, with nothing folded away and nothing cut at the right."""
    page = visit(written[name], width=794, dark=True).page  # A4 is 210 mm, 794 pixels wide
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    assert page.pdf(format="A4")[:5] == b"%PDF-"


def test_a_page_is_not_large(written: dict[str, Path]) -> None:
    for file in written.values():
        assert file.stat().st_size < 5_000_000
