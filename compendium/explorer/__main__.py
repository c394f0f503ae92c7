"""The explorer as a web page of its own, on this machine alone.

    python -m compendium.explorer --profile quick --port 8866

The Makefile is the usual caller (`make explore`).
"""

import argparse
import contextlib
import sys
import webbrowser

from compendium.explorer.app import Explorer
from compendium.explorer.server import Server
from compendium.run import Run, add_options
from slamlib.errors import SlamlibError
from slamlib.threads import blas_threads


def main(arguments=None):
    """Serve the explorer of a run until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m compendium.explorer", description=__doc__.split("\n")[0])
    add_options(parser)
    parser.add_argument("--port", type=int, default=8866, help="0 for any that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    options = vars(parser.parse_args(arguments))
    port, no_browser = options.pop("port"), options.pop("no_browser")
    try:
        server = Server(Explorer(Run(**options)), port)
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The explorer is at {server.address} (Ctrl-C ends it)", flush=True)
    if not no_browser:
        webbrowser.open(server.address)
    # Products as small as these are quicker on one thread than handed to several.
    with contextlib.suppress(KeyboardInterrupt), blas_threads(1), server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
