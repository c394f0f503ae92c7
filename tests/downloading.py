"""Files to download, and how."""

import numpy as np

from slamlib.fetch.download import Job, RequestPolicy, download
from slamlib.fetch.manifest import Manifest

FAST = RequestPolicy(interval=0, backoff=0.001, attempts=3, timeout=5)
ONCE = RequestPolicy(workers=1, interval=0, backoff=0, attempts=1, timeout=5)
RNG = np.random.default_rng(1)
CONTENT = {f"file{i}.bin": RNG.bytes(300_000 + i) for i in range(6)}
FIRST = CONTENT["file0.bin"]


def job(server, folder, name="file0.bin", **more):
    return Job(f"{server.base}/data/{name}", folder / name, **more)


def fetch(*jobs, policy=FAST, lines=None):
    return download(jobs, policy, say=None if lines is None else lines.append, progress=False)


def assert_only_whole_files(folder):
    """What lies in the folder under its own name is listed in the manifest and is the right content."""
    there = {path.name for path in folder.iterdir() if path.is_file()} - {"manifest.ecsv"}
    manifest = Manifest(folder)
    for name in there:
        assert (folder / name).read_bytes() == CONTENT[name]
        assert manifest.holds(folder / name)
    assert all(path.name.endswith(".part") for path in folder.glob("partial/*"))
    return there
