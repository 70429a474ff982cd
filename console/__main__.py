"""``python -m console``: the same as the ``saarthi`` command."""

from __future__ import annotations

import sys

from console.cli import main

if __name__ == "__main__":
    sys.exit(main())
