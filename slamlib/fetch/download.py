"""Many files: side by side, at a polite pace, none twice, one line for each that failed."""

import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.fetch.manifest import Manifest, sha256_of
from slamlib.fetch.policy import RateLimiter, RequestPolicy, redact
from slamlib.fetch.session import Hopeless, TransferError, open_session
from slamlib.fetch.transfer import Job, transfer

__all__ = ["Job", "Report", "RequestPolicy", "download", "tell"]


@dataclass
class Report:
    """What became of files: paths downloaded now, paths there already, and (name, reason) of each failure."""

    fetched: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    failed: list = field(default_factory=list)

    def __add__(self, other):
        """Both reports in one."""
        return Report(self.fetched + other.fetched, self.kept + other.kept, self.failed + other.failed)

    def fail(self, name, reason, say=None):
        """Note a failure, and say it in one line."""
        self.failed.append((str(name), str(reason)))
        if say is not None:
            say(f"{name}: {reason}")

    def __str__(self):
        """Return the summary in one line."""
        return f"{len(self.fetched)} fetched, {len(self.kept)} already there, {len(self.failed)} failed"


def tell(line):
    """Print a line to stderr without breaking a progress bar."""
    tqdm.write(" ".join(line.split()), file=sys.stderr)


def download(jobs, policy=None, *, title="files", say=None, progress=True):
    """Download files of one server; what is already whole is not fetched again.

    A file is whole if the manifest of its folder, or its job, has its sha256. Whatever else lies under its
    name is replaced once the new one is whole. Partial files lie in ``partial/`` and are taken up where they
    end if the server still has the same version; what arrived but is not what was asked for lies in
    ``rejected/``.

    Parameters
    ----------
    jobs : iterable of Job
    policy : RequestPolicy, optional
    title : str
        Of the progress bar.
    say : callable, optional
        Called with one line for each file that fails, when it fails; `tell` prints it.
    progress : bool
        Show a bar, where stderr is a terminal.

    Returns
    -------
    Report
        In the order of the jobs. After a full disk, or where the server cannot be reached, the files not
        tried count as failed.

    Raises
    ------
    InputError, FileError
        If two jobs have one destination, or a manifest cannot be read.
    KeyboardInterrupt
        Passed on once all workers have stopped; everything finished is in the manifest.
    """
    jobs, policy, say = list(jobs), policy or RequestPolicy(), say or (lambda line: None)
    if len({job.path for job in jobs}) < len(jobs):
        raise InputError("two files have the same destination; ask for each only once")
    manifests = {folder: Manifest(folder) for folder in dict.fromkeys(job.path.parent for job in jobs)}
    hidden = None if progress else True  # None: unless stderr is a terminal
    bar = tqdm(desc=title, unit="B", unit_scale=True, disable=hidden, leave=False)
    worker, outcomes, untried = _Worker(policy, manifests, bar), {}, Counter()
    pool = ThreadPoolExecutor(policy.workers, thread_name_prefix="download")
    try:
        futures = {pool.submit(worker.run, job): job for job in jobs}
        for done, future in enumerate(as_completed(futures), 1):
            job = futures[future]
            bar.set_postfix_str(f"{done}/{len(jobs)} files", refresh=False)
            try:
                outcomes[job.path] = future.result()
            except TransferError as error:
                text = outcomes[job.path] = redact(error, job.token)
                if isinstance(error, _NotTried):
                    untried[text] += 1
                else:
                    say(f"{job.path.name}: {text}")
    finally:
        # Also on Ctrl-C: nobody writes any more when this returns.
        worker.limiter.stop()
        pool.shutdown(wait=True, cancel_futures=True)
        bar.close()
        worker.session.close()
    for text, count in untried.items():
        say(f"{count} more of these {title}: {text}")
    report = Report()
    for job in jobs:
        outcome = outcomes[job.path]
        if outcome in ("fetched", "kept"):
            getattr(report, outcome).append(job.path)
        else:
            report.fail(job.path.name, outcome)
    return report


class _NotTried(TransferError):  # noqa: N818
    """Another file showed that this one cannot be had; told once for all of them."""


class _Worker:
    """Fetches one file after another, in several threads; they share session, pace and reasons to give up."""

    def __init__(self, policy, manifests, bar):
        self.policy, self.manifests, self.bar = policy, manifests, bar
        self.limiter = RateLimiter(policy.interval)
        self.session = open_session(policy, self.limiter)
        self._lock = threading.Lock()
        self._given_up = ""

    def run(self, job):
        """Return "fetched" or "kept"; raise TransferError with the reason why there is no file."""
        manifest = self.manifests[job.path.parent]
        try:
            if self._kept(job, manifest):
                return "kept"
            if self._given_up:
                raise _NotTried(f"not tried: {self._given_up}")
            transfer(job, self.session, self.limiter, self.policy, manifest, self._on_bytes)
            return "fetched"
        except Hopeless as error:
            self._given_up = str(error)
            raise
        except OSError as error:
            raise TransferError(f"cannot read what is there already ({error.strerror or error})") from None

    def _kept(self, job, manifest):
        name = job.path.name
        if manifest.holds(job.path) and job.sha256 in (None, manifest.rows[name]["sha256"]):
            return True
        if job.sha256 is None or not job.path.is_file() or sha256_of(job.path) != job.sha256.lower():
            return False
        # Put there by hand, and proven: from now on the manifest knows it.
        manifest.add(name, job.url, job.path.stat().st_size, job.sha256.lower())
        return True

    def _on_bytes(self, size):
        with self._lock:
            self.bar.update(size)
