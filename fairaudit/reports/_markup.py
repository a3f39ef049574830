"""Markdown as GitHub and the Hugging Face Hub read it: names that stay text, and tables that keep their columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

# Ordinary text is left readable in the source: an underscore between letters and a lone bracket mean nothing.
_SPECIAL = re.compile(r"[&<>\\`*{}#|~$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\[(?=[^\]]*\][\[(:])|(?<=\w):(?=//)|(?<=www)\.")


def safe(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no links, no mentions, no cell borders."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a table.

    Args:
        head: its headings, already safe.
        rows: its cells, already safe, as many as there are headings.
    """
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
