"""Run one notebook, strictly: it succeeds as a whole, or it says why in a few lines.

papermill alone only warns of an unknown parameter, leaves a failed notebook where the good
one belongs, and takes whichever kernel the user's Jupyter finds first.
"""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import contextmanager, suppress

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from slamlib.errors import FileError, InputError, SlamlibError
from slamlib.threads import thread_environment


class NotebookError(SlamlibError, RuntimeError):
    """A notebook that failed; the message names the cell, the line and the cause."""

    # The cause has lines of its own.
    __str__ = RuntimeError.__str__


class OwnKernelManager(AsyncKernelManager):
    """Starts the kernel with this very Python, whatever kernels the user has installed."""

    @property
    def kernel_spec(self):
        """The kernel of the running interpreter; JUPYTER_PATH has no say."""
        return KernelSpec(**get_kernel_dict())

    async def start_kernel(self, **options):  # type: ignore[override]
        """Start it with its process output closed: what cells print is in the notebook anyway."""
        await super().start_kernel(**{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})


_managers: weakref.WeakSet = weakref.WeakSet()
# Set once the notebooks that run are to end.
_ending = threading.Event()


class _KernelManager(OwnKernelManager):
    """One whose kernel ends with the block of `kernels`."""

    async def start_kernel(self, **options):  # type: ignore[override]
        await super().start_kernel(**options)
        _managers.add(self)
        if _ending.is_set():
            self.kill()

    def kill(self):
        """End the kernel and what it started, if it runs."""
        if isinstance(self.provisioner, LocalProvisioner) and self.provisioner.process:
            with suppress(ProcessLookupError):
                os.killpg(self.provisioner.process.pid, signal.SIGKILL)


def parameters_of(notebook):
    """Return the names that a notebook's cell tagged `parameters` sets.

    FileError or InputError if it is missing or no notebook, or not exactly one cell is tagged.
    """
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except (OSError, ValueError, AttributeError) as error:
        raise FileError(f"cannot read {notebook} as a notebook ({error}); restore it from git") from None
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise InputError(f"{notebook} has {len(tagged)} cells tagged 'parameters'; tag exactly one")
    return set(re.findall(r"^(\w+)\s*(?::[^=\n]+)?=(?!=)", tagged[0].source, re.MULTILINE))


def execute(notebook, parameters, output, cwd):
    """Execute a notebook into `output`, written only when every cell succeeded.

    Inside `kernels` several threads may do so at once.

    A failed one is kept as `<name>.failed.ipynb` beside it; an interrupted one leaves nothing. `parameters`
    are values of names that the notebook's parameters cell sets, `cwd` is the kernel's working folder.
    FileError, InputError or NotebookError if the notebook cannot be read, lacks a parameter, or fails.
    """
    unknown = sorted(set(parameters) - parameters_of(notebook))
    if unknown:
        raise InputError(f"{notebook} has no parameter {', '.join(unknown)}; add it to its parameters cell")
    failed = output.with_name(f"{output.stem}.failed.ipynb")
    partial = output.with_name(f".{output.stem}.partial.ipynb")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(partial),
            parameters=parameters,
            cwd=str(cwd),
            kernel_name="python3",
            language="python",
            kernel_manager_class=_KernelManager,
            progress_bar=sys.stderr.isatty(),
        )
        os.replace(partial, output)
        failed.unlink(missing_ok=True)
    except (PapermillExecutionError, DeadKernelError) as error:
        if _ending.is_set():
            raise
        os.replace(partial, failed)
        raise NotebookError(f"{notebook.stem} {_cause(error)}\nAs far as it got: {failed}") from None
    finally:
        partial.unlink(missing_ok=True)
        # Jupyter makes one for each thread and leaves it open.
        asyncio.get_event_loop_policy().get_event_loop().close()


def _cause(error):
    """Say in two or three lines what went wrong, from papermill's error."""
    if isinstance(error, DeadKernelError):
        return "failed: its kernel died, most often for lack of memory; free some, or use PROFILE=quick"
    # IPython heads each frame of its traceback "Cell In[3], line 2"; the last one of this
    # cell is where the failing call was made.
    text = _plain("\n".join(error.traceback or []))
    frames = re.findall(rf"Cell In\s?\[{error.exec_count}\], line (\d+)", text)
    lines = error.source.splitlines()
    where, line = f"failed in cell {error.exec_count}", lines[0] if lines else ""
    if frames and int(frames[-1]) <= len(lines):
        where, line = f"{where}, line {frames[-1]}", lines[int(frames[-1]) - 1]
    return f"{where}:\n    {line.strip()}\n{error.ename}: {_plain(error.evalue)}"


def _plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@contextmanager
def kernels():
    """Set what kernels inherit: threads, hashing, dates; none of the user's start-up files.

    What ends the block, also SIGTERM, ends every notebook that runs in other threads.
    """
    before = dict(os.environ)
    former = signal.signal(signal.SIGTERM, _interrupt)
    _ending.clear()
    told = logging.getLogger("papermill")
    told.disabled = False
    with tempfile.TemporaryDirectory(prefix="slamlib-kernel-", ignore_cleanup_errors=True) as scratch:
        os.environ.update(
            # The cores are for several notebooks, and for the processes of each.
            thread_environment(1),
            PYTHONHASHSEED="0",
            TQDM_MININTERVAL="60",  # each redrawn bar would stay in the notebook as a line
            SOURCE_DATE_EPOCH="0",  # matplotlib would stamp the hour into each PDF
            IPYTHONDIR=scratch,
            JUPYTER_RUNTIME_DIR=scratch,
            JUPYTER_PLATFORM_DIRS="1",  # silences a notice of jupyter_core
            PYDEVD_DISABLE_FILE_VALIDATION="1",  # silences a notice of the debugger
        )
        os.environ.pop("MPLBACKEND", None)
        try:
            yield
        finally:
            _ending.set()
            told.disabled = True  # that kernels die now is no news
            for manager in list(_managers):
                manager.kill()
            signal.signal(signal.SIGTERM, former)
            os.environ.clear()
            os.environ.update(before)


def _interrupt(signum, frame):
    raise KeyboardInterrupt
