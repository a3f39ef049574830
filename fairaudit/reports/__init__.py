"""One report format per file: an AuditResult in, a string out."""
