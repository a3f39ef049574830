"""Figures of records: one per file, a record in, a ``Picture`` out. They place what was computed and compute nothing."""
