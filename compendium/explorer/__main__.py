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
from compendium.run import DEFAULT_SEED, Run
from slamlib.errors import SlamlibError
from slamlib.threads import blas_threads


def main(arguments=None):
    """Serve the explorer of a run until interrupted; return the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        `sys.argv[1:]` by default.
    """
    parser = argparse.ArgumentParser(prog="python -m compendium.explorer", description=__doc__.split("\n")[0])
    for name, value in (("profile", "quick"), ("source", "mock"), ("grid", "embedded"), ("rv", "measured")):
        parser.add_argument(f"--{name}", default=value)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--port", type=int, default=8866, help="0 for any that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    options = parser.parse_args(arguments)
    try:
        run = Run(options.profile, options.source, options.grid, options.seed, options.rv)
        server = Server(Explorer(run), options.port)
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The explorer is at {server.address} (Ctrl-C ends it)", flush=True)
    if not options.no_browser:
        webbrowser.open(server.address)
    # Products as small as these are quicker on one thread than handed to several.
    with contextlib.suppress(KeyboardInterrupt), blas_threads(1), server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
