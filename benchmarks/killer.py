"""Kill workers of a LocalCluster while it works, and watch the memory of its client."""

import os
import signal
from threading import Event, Thread

import numpy as np
import psutil


class Killer:
    """A context in which workers die by SIGKILL, evenly spread over the parts of a run.

    Parameters
    ----------
    cluster : LocalCluster
    folder : Path
        Where finished parts appear.
    n_parts : int
        How many there will be.
    n : int
        How many workers to kill.
    seed : int
        Of the choice of the victims.
    """

    def __init__(self, cluster, folder, n_parts, n, seed):
        self.cluster, self.folder = cluster, folder
        self.due = [round(n_parts * (k + 1) / (n + 1)) for k in range(n)]
        self.killed, self.memory = 0, []
        self.rng = np.random.default_rng(seed)
        self.ended = Event()
        self.thread = Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def client_memory(self):
        """Resident memory of this process [byte] in the first and the last tenth of the time."""
        tenth = max(1, len(self.memory) // 10)
        return self.memory[:tenth], self.memory[-tenth:]

    def _watch(self):
        while not self.ended.wait(0.2):
            self.memory.append(psutil.Process().memory_info().rss)
            finished = len(list(self.folder.glob("*.parquet")))
            if self.killed < len(self.due) and finished >= self.due[self.killed]:
                nanny = self.rng.choice(list(self.cluster.workers.values()))
                if nanny.pid:
                    os.kill(nanny.pid, signal.SIGKILL)
                    self.killed += 1
