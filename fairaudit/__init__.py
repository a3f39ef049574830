"""fairaudit: a command-line bias auditor for image classifiers."""

__version__ = "0.1.0"
