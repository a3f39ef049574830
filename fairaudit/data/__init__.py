"""Datasets as tables (manifest, sources) and as images (images)."""
