"""One command per file: flags in, one workflow call, an exit code out."""
