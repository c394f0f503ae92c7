"""A survey labelled by a Dask cluster: parts go out, their names come back, one catalogue is made."""

import asyncio
import logging
import signal
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from slamlib.errors import FileError, InputError, SlamlibError

try:
    import dask
    import pyarrow  # noqa: F401, of the same extra
    from distributed import CancelledError, Client, LocalCluster, Security, WorkerPlugin, as_completed
    from distributed.core import connect
    from distributed.utils import LoopRunner, silence_logging_cmgr
    from tornado.ioloop import PeriodicCallback
except ImportError:
    raise InputError("a cluster needs Dask; install it with: pip install 'slamlib[cluster]'") from None

from slamlib.labelling.catalogue import MEASURED, PART
from slamlib.labelling.cluster.merge import merge
from slamlib.labelling.cluster.parts import Recipe, split, work
from slamlib.threads import CORES_VARIABLE, n_cores, thread_environment

# A part is tried again this often after an error, or after the death of its worker.
_RETRIES, _DEATHS = 2, 10
# So many failed parts are no accident: stop instead of failing through ten million files.
_GIVE_UP = 20
# Seconds to wait for a scheduler to answer, and for its first worker.
_ANSWER, _FIRST_WORKER = 5, 60
# A worker that dies while a cluster of this machine starts breaks its start; so often it is tried again.
_STARTS = 3
# Seconds between two looks whether a worker is missing.
_REVIVE = 2


@dataclass
class Report:
    """What a run did: the catalogue, its rows, and `Done` of each part, in the order of finishing."""

    output: Path
    rows: int = 0
    done: list = field(default_factory=list)

    @property
    def computed(self):
        """Number of parts that were not there before."""
        return sum(part.computed for part in self.done)

    def __str__(self):
        """Say it in one line."""
        return f"{self.output}: {self.rows} spectra in {len(self.done)} parts, {self.computed} of them new"


class _Deaf(WorkerPlugin):
    """Ctrl-C reaches every process of a terminal; only the client shall act on it."""

    def setup(self, worker):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def local_cluster(n_workers=None):
    """Give a LocalCluster of single-threaded processes on this machine, closed at the end.

    It has as many workers as there are cores by default.
    """
    n_workers = n_workers or n_cores()
    with _started(n_workers) as cluster:
        # Dask restarts a worker that dies, but forgets one that dies again while it starts.
        revive = PeriodicCallback(lambda: cluster.scale(n_workers), 1000 * _REVIVE)
        cluster.loop.add_callback(revive.start)
        try:
            yield cluster
        finally:
            cluster.loop.add_callback(revive.stop)


def _started(n_workers):
    """Return a LocalCluster that only who holds its key, made for it and kept in memory, may talk to."""
    # Dask's status pages, which have tasks and logs, ask nobody for a key.
    pages = {f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker")}
    for _ in range(_STARTS):
        try:
            with dask.config.set(pages):
                return LocalCluster(
                    n_workers=n_workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    security=Security.temporary(),
                    dashboard_address="127.0.0.1:0",  # any free port
                    silence_logs=logging.CRITICAL,
                    scheduler_kwargs={"allowed_failures": _DEATHS, "dashboard": False},
                    env=thread_environment(1) | {CORES_VARIABLE: "1"},
                )
        except (OSError, RuntimeError) as error:
            last = error
    raise FileError(f"no cluster can be started on this machine ({last}); try again")


@contextmanager
def connected(address=None, n_workers=None):
    """Give a Client of the scheduler at `address`, of the cluster it is, or of a LocalCluster.

    FileError if no scheduler answers within seconds, or it has no worker within a minute.
    """
    if address is None:
        with local_cluster(n_workers) as cluster, Client(cluster, set_as_default=False) as client:
            client.register_plugin(_Deaf())
            yield client
        return
    try:
        # A Client itself would take a minute to fail.
        if isinstance(address, str):
            LoopRunner().run_sync(_knock, address)
    except (OSError, ValueError) as error:
        raise FileError(
            f"no Dask scheduler answers at {address} ({str(error) or 'it says nothing'}); "
            "start one with `dask scheduler` and give the address that it prints"
        ) from None
    # What goes wrong is told by our errors, not by Dask's logs.
    with silence_logging_cmgr(logging.CRITICAL), Client(address, set_as_default=False) as client:
        try:
            client.wait_for_workers(1, timeout=_FIRST_WORKER)
        except TimeoutError:
            raise FileError(
                f"the scheduler at {address} has no worker; start some with "
                f"`dask worker {address} --nthreads 1 --nworkers -1`"
            ) from None
        yield client


async def _knock(address):
    """Connect and leave. A server that is not Dask may accept and never answer, so time is limited twice."""
    security = Security().get_connection_args("client")
    comm = await asyncio.wait_for(connect(address, timeout=_ANSWER, **security), _ANSWER + 1)
    comm.abort()


def label_cluster(
    paths,
    labellers,
    output,
    folder=None,
    rv=MEASURED,
    address=None,
    n_workers=None,
    part=PART,
    progress=True,
    hints=None,
):
    """Label every spectrum on a cluster; the same labels as `slamlib.labelling.catalogue.label_survey`.

    A part that is finished is kept in `folder`. Whatever stops the run, a second call goes on where it
    stopped. Workers must see the spectra, labellers and `folder` under the same paths.

    Parameters
    ----------
    paths : iterable of str or Path
        The spectra; need not fit into memory.
    labellers, rv, hints
        As `label_survey` takes them.
    output : str or Path
        The catalogue, a Parquet file.
    folder : str or Path, optional
        Of the parts; beside `output`, with the suffix .parts, by default.
    address : str or Dask cluster, optional
        Of a scheduler, such as "tls://10.0.0.1:8786", with the keys that Dask is configured for
        (docs/cluster.md); without it, a LocalCluster.
    n_workers : int, optional
        Of the LocalCluster; as many as there are cores by default.
    part : int
        Spectra of a part: what the death of a worker costs at most.
    progress : bool

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If `output` does not end in .parquet, there is no spectrum, or workers have other code or models.
    FileError
        If the scheduler cannot be reached or is lost, a file is missing, or parts fail.
    """
    output = Path(output)
    if output.suffix != ".parquet":
        raise InputError(f"{output}: a cluster writes Parquet; let the name end in .parquet")
    folder = (output.with_suffix(".parts") if folder is None else Path(folder)).resolve()
    recipe = Recipe.of(labellers, rv, hints)
    arguments = (recipe, recipe.digest())
    report, names = Report(output), {}
    total = len(paths) if hasattr(paths, "__len__") else None
    with (
        connected(address, n_workers) as client,
        tqdm(total=total, desc="labels", unit="spectrum", disable=not progress) as bar,
    ):
        for index, done in _work_off(client, arguments, split(paths, part), str(folder)):
            names[index] = done.name
            report.done.append(done)
            bar.update(done.rows)
    if not names:
        raise InputError("no spectrum to label; name some files")
    report.rows = merge((folder / names[index] for index in range(len(names))), output)
    return report


def _work_off(client, arguments, parts, folder):
    """Yield (index, Done) as parts are finished; never more in flight than twice the threads."""
    parts, run = enumerate(parts), uuid.uuid4().hex[:8]
    running, pending, failed = as_completed(loop=client.loop), {}, []

    def submit():
        threads = sum(_ask(client.nthreads).values())
        for index, paths in islice(parts, max(1, 2 * threads - len(pending))):
            key = f"part-{run}-{index}"
            pending[key] = index, paths[0]
            running.add(client.submit(work, *arguments, paths, folder, key=key, retries=_RETRIES))

    submit()
    for future in running:
        index, first = pending.pop(future.key)
        if future.status == "error":
            failed.append((first, _ask(future.exception)))
            if isinstance(failed[-1][1], SlamlibError) or len(failed) >= _GIVE_UP:
                break
        else:
            yield index, _ask(future.result)
        submit()
    if failed:
        first, error = failed[-1]
        if isinstance(error, SlamlibError):
            raise error
        raise FileError(
            f"{len(failed)} parts failed, one of them from {first} on, with {error!r}; finished parts are "
            f"kept in {folder}: mend the cause, and the same command goes on from here"
        )


def _ask(question):
    """Return what a Client or Future answers, which it cannot without its scheduler."""
    try:
        return question()
    except (OSError, CancelledError):
        raise FileError("the scheduler is lost; start it again, and the same command goes on") from None
