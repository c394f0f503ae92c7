"""Many files: side by side, at a polite pace, none twice, one line for each that failed."""

import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.fetch.manifest import Manifest, sha256_of
from slamlib.fetch.polite import USER_AGENT, Manners, Pace, Stopped
from slamlib.fetch.transfer import DiskFull, Job, TransferError, Unreachable, transfer

# Outcomes that are no news, or are told once for all files.
_SILENT = ("fetched", "kept", "not tried")

__all__ = ["Job", "Manners", "Report", "download", "tell"]


@dataclass
class Report:
    """What became of the files.

    Attributes
    ----------
    fetched, kept : list of Path
        Downloaded now; there already, whole.
    failed : list of (str, str)
        Name and reason, one line each.
    """

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


def download(jobs, manners=None, *, title="files", say=None, progress=True):
    """Download files; what is already whole is not fetched again.

    A file is whole if the manifest of its folder has its size and sha256, or if the job
    has its sha256. Whatever else lies under its name is fetched anew and replaced once the
    new one is whole. Partial files lie in ``partial/``, and are taken up where they end if
    the server still has the same version; what arrived but is not what was asked for lies
    in ``rejected/``.

    Parameters
    ----------
    jobs : iterable of Job
    manners : Manners, optional
    title : str
        Of the progress bar.
    say : callable, optional
        Called with one line for each file that fails, when it fails; `tell` prints it.
    progress : bool
        Show a bar, where stderr is a terminal.

    Returns
    -------
    Report
        In the order of the jobs. After a full disk, or where a host cannot be reached, the
        files not tried count as failed.

    Raises
    ------
    InputError
        If two jobs have one destination.
    FileError
        If a manifest cannot be read.
    KeyboardInterrupt
        Passed on once all workers have stopped; everything finished is in the manifest.
    """
    jobs, manners = list(jobs), manners or Manners()
    if len({job.path for job in jobs}) < len(jobs):
        raise InputError("two files have the same destination; ask for each only once")
    manifests = {folder: Manifest(folder) for folder in dict.fromkeys(job.path.parent for job in jobs)}
    outcomes = ["not tried"] * len(jobs)
    errand = _Errand(
        manners,
        manifests,
        tqdm(
            desc=title,
            unit="B",
            unit_scale=True,
            unit_divisor=1000,
            disable=None if progress else True,
            leave=False,
        ),
    )
    pool = ThreadPoolExecutor(manners.workers, thread_name_prefix="download")
    try:
        futures = {pool.submit(errand.run, i, job): i for i, job in enumerate(jobs)}
        for done, future in enumerate(as_completed(futures), 1):
            i = futures[future]
            outcomes[i] = future.result()
            errand.bar.set_postfix_str(f"{done}/{len(jobs)} files", refresh=False)
            if say is not None and not outcomes[i].startswith(_SILENT):
                say(f"{jobs[i].path.name}: {outcomes[i]}")
    finally:
        # Also on Ctrl-C: nobody writes any more when this returns.
        errand.pace.stop()
        pool.shutdown(wait=True, cancel_futures=True)
        errand.bar.close()
        errand.session.close()
    if say is not None:
        for reason, count in Counter(o for o in outcomes if o.startswith("not tried")).items():
            say(f"{count} more of these {title}: {reason}")
    report = Report()
    for job, outcome in zip(jobs, outcomes, strict=True):
        if outcome in ("fetched", "kept"):
            getattr(report, outcome).append(job.path)
        else:
            report.fail(job.path.name, outcome)
    return report


class _Errand:
    """What the workers share: session, pace, bar, and the reasons not to go on."""

    def __init__(self, manners, manifests, bar):
        self.manners, self.manifests, self.bar = manners, manifests, bar
        self.pace = Pace(manners.interval)
        self.session = requests.Session()
        self.session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=manners.workers))
        self._lock = threading.Lock()
        self._silent, self._full = set(), False

    def run(self, index, job):
        """Fetch one file; return "fetched", "kept" or the reason why not."""
        manifest = self.manifests[job.path.parent]
        host = urlsplit(job.url).netloc
        try:
            if self._kept(job, manifest):
                return "kept"
            if self._full:
                return "not tried: the disk is full"
            if host in self._silent:
                return f"not tried: {host} cannot be reached"
            rng = np.random.default_rng([self.manners.seed, index])
            transfer(job, self.session, self.pace, self.manners, rng, manifest, self._grown)
            return "fetched"
        except Unreachable as error:
            self._silent.add(host)
            return str(error)
        except DiskFull as error:
            self._full = True
            return str(error)
        except TransferError as error:
            return str(error)
        except Stopped:
            return "stopped"
        except OSError as error:
            return f"cannot read what is there already ({error.strerror or error})"

    def _kept(self, job, manifest):
        if manifest.holds(job.path) and job.sha256 in (None, manifest.row(job.path.name)["sha256"]):
            return True
        if job.sha256 is None or not job.path.is_file() or sha256_of(job.path) != job.sha256.lower():
            return False
        # Put there by hand, and proven: from now on the manifest knows it.
        manifest.add(job.path.name, job.url, job.path.stat().st_size, job.sha256.lower())
        return True

    def _grown(self, size):
        with self._lock:
            self.bar.update(size)
