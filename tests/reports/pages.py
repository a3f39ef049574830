"""Reading a page back: what a browser would make of it, as far as the standard library can tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}


@dataclass
class Element:
    """A start tag and the text below it."""

    tag: str
    attributes: dict[str, str]
    inside: list[str]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its text and that of everything in it."""
        return " ".join("".join(self.pieces).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, [one.tag for one in self.open])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, [one.tag for one in self.open]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.pieces.append(data)


def read(page: str) -> list[Element]:
    """Every element of a page, in order; refuses one whose tags do not match."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open, f"never closed: {[one.tag for one in reader.open]}"
    return reader.elements


def tables(page: str) -> dict[str, list[list[str]]]:
    """Caption → rows of texts, the heading first."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for element in read(page):
        if element.tag == "caption":
            rows = found[element.text] = []
        elif element.tag == "tr":
            rows.append([])
        elif element.tag in ("th", "td"):
            rows[-1].append(element.text)
    return found
