"""How BLAS and worker processes share the cores: decided here and nowhere else.

Two sets of workers that each take every core halve the speed of both. So numerical libraries start with all
cores (the kernel matrices are large), and a section that brings its own workers runs inside
``blas_threads(1)``.
"""

import os
import signal
import threading
from contextlib import contextmanager

import joblib
from threadpoolctl import threadpool_limits

from slamlib.errors import InputError

CORES_VARIABLE = "SLAMLIB_CORES"
_LIBRARY_VARIABLES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"]
_LIBRARY_VARIABLES += ["VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS"]


def n_cores():
    """Return how many cores this process may use.

    The environment variable ``SLAMLIB_CORES`` wins, for a machine shared with others (InputError if it is not
    a positive whole number); otherwise the CPU affinity and the container's quota count, not only the
    hardware.
    """
    wanted = os.environ.get(CORES_VARIABLE)
    if wanted is None:
        return joblib.cpu_count()
    if not wanted.isascii() or not wanted.isdigit() or int(wanted) < 1:
        raise InputError(f"{CORES_VARIABLE}={wanted!r} is not a number of cores; use 1, 2, ... or unset it")
    return int(wanted)


@contextmanager
def blas_threads(n):
    """Limit BLAS to `n` threads inside the block and restore the former number after it.

    `n` is 1 while worker threads or processes use the cores; InputError if it is not a positive whole number.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise InputError(f"blas_threads takes a positive whole number of threads, not {n!r}")
    with threadpool_limits(limits=n, user_api="blas"):
        yield


def in_processes(n, calls):
    """Return the results, in order and as they come, of joblib's delayed `calls`, made by `n` processes.

    Ctrl-C reaches every process of a terminal, and each would print a traceback. So it is ignored while
    these are started, and they go on ignoring it; only the one that started them acts.
    """
    parallel = joblib.Parallel(n_jobs=n, return_as="generator", max_nbytes=None)
    if threading.current_thread() is not threading.main_thread():
        return parallel(calls)  # which has no say in signals
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return parallel(calls)
    finally:
        signal.signal(signal.SIGINT, before)


def thread_environment(n):
    """Return the environment variables that start a process with `n` library threads.

    They are read when a library is loaded, so they must be set before the process starts.
    """
    return dict.fromkeys(_LIBRARY_VARIABLES, str(n))
