"""Texts that a spreadsheet would take for formulas: whoever names a group must not run code where the table is opened."""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def guarded(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would take it for a formula, and controls spelt out."""
    shown = f"'{text}" if text.startswith(_STARTS) else text
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", shown)
