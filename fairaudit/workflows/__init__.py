"""One verb per file: assemble the parts, call them, hand over."""
