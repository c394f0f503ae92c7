"""The explorer as a web page of its own, on this machine alone.

    python -m compendium.explorer --profile quick --port 8866

The Makefile is the usual caller (`make explore`).
"""

import argparse
import os
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
from slamlib.threads import n_cores, thread_environment

_TEMPLATES = Path(__file__).parent / "jupyter"


def page(run):
    """Write the notebook for voila to serve, and return its path.

    It has this run's parameters. Of its text only the title and cells tagged `page` stay: the
    rest is for those who read notebooks.
    """
    notebook = load_notebook_node(str(run.root / "notebooks" / "explore.ipynb"))
    parameters = run.parameters
    notebook = parameterize_notebook(notebook, parameters)
    title = notebook.cells[0].source.splitlines()[0]
    shown = [c for c in notebook.cells if c.cell_type == "code" or "page" in c.metadata.tags]
    notebook.cells = [nbformat.v4.new_markdown_cell(title), *shown]
    notebook.metadata["title"] = title.removeprefix("# ")
    path = run.build / "explore.ipynb"
    with atomic(path) as temporary:
        nbformat.write(notebook, temporary)
    return path


def serve(run, port, browser):
    """Serve the explorer of a run until interrupted.

    Parameters
    ----------
    run : Run
    port : int
    browser : bool
        Open the page in the user's browser.

    Raises
    ------
    FileError
        If the notebooks have not been run.
    InputError
        If the port is none, or taken.
    """
    _check_port(port)
    Library(run)  # what is missing is told here, in one line, and not on the page
    # Our template first, and the kernel of this environment before the user's others.
    folders = [str(_TEMPLATES), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(folders)
    os.environ.update(thread_environment(n_cores()), JUPYTER_PREFER_ENV_PATH="1", JUPYTER_PLATFORM_DIRS="1")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    from voila.app import Voila

    arguments = [
        str(page(run)),
        f"--port={port}",
        "--Voila.ip=127.0.0.1",
        "--Voila.log_level=ERROR",
        "--template=slamlib",
        "--theme=light",
        *([] if browser else ["--no-browser"]),
    ]
    print(f"The explorer is at http://127.0.0.1:{port}/ (Ctrl-C ends it)", flush=True)
    Voila.launch_instance(arguments)


def _check_port(port):
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
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
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--source", default="mock")
    parser.add_argument("--grid", default="embedded")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--rv", default="measured")
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
