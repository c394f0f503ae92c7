"""Run a function in a process of its own, so that its peak memory is its own."""

import multiprocessing
import resource
import traceback


def run(function, *args, children=0):
    """Return what ``function(*args)`` returns and the peak memory [GB] of its process.

    The memory of the largest of its own `children` is counted once for each of them.

    Raises
    ------
    RuntimeError
        With the traceback, if the function fails.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_target, args=(sender, function, args, children))
    process.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{function.__name__} died with exit code {process.exitcode}") from None
    process.join()
    if isinstance(outcome, str):
        raise RuntimeError(f"{function.__name__} failed:\n{outcome}")
    return outcome


def _target(sender, function, args, children):
    try:
        result = function(*args)
        if children:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True)  # only children that ended are counted
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kilobytes += children * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        sender.send((result, kilobytes * 1024 / 1e9))
    except Exception:
        sender.send(traceback.format_exc())
