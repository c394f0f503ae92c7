"""The command line as a module: ``python -m slamlib --help``."""

import sys

from slamlib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
