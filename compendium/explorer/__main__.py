"""The explorer as a web page of its own, on this machine alone.

    python -m compendium.explorer --profile quick --port 8866

The Makefile is the usual caller (`make explore`).
"""

import argparse
import os
import secrets
import socket
import sys
from pathlib import Path

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from compendium.explorer.library import Library
from compendium.run import DEFAULT_SEED, Run
from slamlib.errors import InputError, SlamlibError
from slamlib.io import atomic
from slamlib.threads import thread_environment

_TEMPLATES = Path(__file__).parent / "jupyter"


def page(run):
    """Write the notebook for voila to serve, and return its path.

    It has this run's parameters. Of its text only the title and cells tagged `page` stay: the
    rest is for those who read notebooks.
    """
    notebook = load_notebook_node(str(run.root / "notebooks" / "explore.ipynb"))
    notebook = parameterize_notebook(notebook, run.parameters)
    title = notebook.cells[0].source.splitlines()[0]
    shown = [c for c in notebook.cells if c.cell_type == "code" or "page" in c.metadata.tags]
    notebook.cells = [nbformat.v4.new_markdown_cell(title), *shown]
    notebook.metadata["title"] = title.removeprefix("# ")
    path = run.build / "explore.ipynb"
    with atomic(path) as temporary:
        nbformat.write(notebook, temporary)
    return path


def serve(run, port, browser):
    """Serve the explorer of a run until interrupted: to this machine, and to who has the token it prints.

    Parameters
    ----------
    run : Run
    port : int
        0 for any that is free.
    browser : bool
        Open the page in the user's browser.

    Raises
    ------
    FileError
        If the notebooks have not been run.
    InputError
        If the port is none, or taken.
    """
    port = _checked(port)
    Library(run)  # what is missing is told here, in one line, and not on the page
    # Our template first, and the kernel of this environment before the user's others.
    folders = [str(_TEMPLATES), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(folders)
    os.environ.update(thread_environment(1), JUPYTER_PREFER_ENV_PATH="1", JUPYTER_PLATFORM_DIRS="1")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    from voila.app import Voila

    class Local(Voila):
        def init_settings(self):
            # voila allows any Host header; then a page elsewhere could reach us under a name of its own.
            return super().init_settings() | {
                "allow_remote_access": False,
                "local_hostnames": ["localhost", "127.0.0.1"],
            }

    token = secrets.token_urlsafe(24)
    arguments = [
        str(page(run)),
        f"--port={port}",
        f"--token={token}",
        "--Voila.ip=127.0.0.1",
        "--Voila.log_level=ERROR",
        "--template=slamlib",
        "--theme=light",
        *([] if browser else ["--no-browser"]),
    ]
    print(f"The explorer is at http://127.0.0.1:{port}/?token={token} (Ctrl-C ends it)", flush=True)
    Local.launch_instance(arguments)


def _checked(port):
    """Return the port if it is free; one that is, if it is 0."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot serve at port {port} ({error}); choose another, such as PORT=8901"
        ) from None


def main(arguments=None):
    """Run the command line; return the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        `sys.argv[1:]` by default.
    """
    parser = argparse.ArgumentParser(prog="python -m compendium.explorer", description=__doc__.split("\n")[0])
    for name, value in (("profile", "quick"), ("source", "mock"), ("grid", "embedded"), ("rv", "measured")):
        parser.add_argument(f"--{name}", default=value)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--port", type=int, default=8866)
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    options = parser.parse_args(arguments)
    try:
        run = Run(options.profile, options.source, options.grid, options.seed, options.rv)
        serve(run, options.port, browser=not options.no_browser)
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
