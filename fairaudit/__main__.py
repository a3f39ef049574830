"""``python -m fairaudit`` and the ``fairaudit`` command."""

from __future__ import annotations

import os
import sys

_TOO_SMALL = ("failed to map segment", "cannot allocate memory")
"""How the loader of shared libraries says that there is no memory."""


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from fairaudit.cli.app import run

        code = run()
    except KeyboardInterrupt:  # while it starts or ends, when nobody listens yet or any more
        code = 130
    except (MemoryError, ImportError) as error:  # never the interpreter's own code, 1, which says that a rule failed
        small = isinstance(error, MemoryError) or any(words in str(error).casefold() for words in _TOO_SMALL)
        said = "there is not enough memory to start" if small else f"it cannot start, install it again: {error}"
        sys.stderr.write(f"fairaudit: {said}\n")
        code = 2 if small else 70
        if small:  # libraries that are loaded by half bring the interpreter down while it ends
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
