"""``python -m hcat_core`` runs ``hcat``."""

import sys

from hcat_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
