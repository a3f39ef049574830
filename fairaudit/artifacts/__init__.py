"""What a run leaves on disk: the table of predictions, the audit, the records beside them, and the folder they lie in.

==============  =========================================================================
``tables``      predictions, ours or anybody's, as Parquet or CSV
``records``     ``audit.json``, ``run.json`` and ``config.toml``
``schema``      the published layout of ``audit.json``
``folder``      files and run folders that appear whole or not at all
==============  =========================================================================
"""
