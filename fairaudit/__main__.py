"""``python -m fairaudit`` and the ``fairaudit`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from fairaudit.cli.app import run

        code = run()
    except KeyboardInterrupt:  # while it starts or ends, when nobody listens yet or any more
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
