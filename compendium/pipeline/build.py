"""The build: doit decides by content what is stale, runs it, and records at once what succeeded.

    python -m compendium.pipeline.build TARGET [--profile quick] ...

TARGET is `all`, `fig-N` or `table-N`, which publish what they make; `notebooks`, `calibration` or
the name of a notebook, which do not; `stale` (what would be made, and why), `verify`, or
`trace` with a file. The Makefile is the usual caller.
"""

import argparse
import logging
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from importlib import import_module

from doit.dependency import Dependency
from doit.task import Task

from compendium.pipeline import crate, manifest, verify
from compendium.pipeline.content import Content, code_of
from compendium.pipeline.execute import NotebookError, execute, kernels
from compendium.pipeline.folders import locked, publish, sweep
from compendium.pipeline.graph import GRAPH, closure, targets
from compendium.run import Run, add_options
from slamlib.errors import FileError, InputError, SlamlibError
from slamlib.threads import n_cores

# They say from where data are fetched: a corrected address changes no result.
ADDRESSES = ("lamost_releases.ecsv", "tlusty_archives.ecsv", "vizier_catalogues.ecsv", "vizier_columns.ecsv")


# Notebooks that run at once, if there are cores: most of them use one for much of their time, and none while
# its kernel starts. More would want more memory at paper size than many machines have.
_AT_ONCE = 3


class _Dependency(Dependency):
    """Writes every success at once: a build that is killed loses what was running, no more.

    Files are recorded as they were when the task began: what was edited meanwhile is stale.
    """

    def save_success(self, task, result_hash=None):
        super().save_success(task, result_hash)
        for path, state in task.meta.items():
            self._set(task.name, path, state)
        self.backend.dump()
        self.checker.forget()


class Build:
    """The tasks of a run: one for each notebook, and one for each figure, drawn from products.

    Those that do not need each other run at once.

    A task is stale when its cells, the code it imports or the content of a file it may read is another than
    recorded, or a file it made is. A date means nothing, and what is made again with the same content makes
    nothing else stale. `draw`, if given, draws and saves a figure by its name and the run.
    """

    def __init__(self, run, graph=GRAPH, draw=None):
        self.run, self.graph, self.draw = run, graph, draw or _draw
        self.makers = {name: notebook for notebook in graph for name in (notebook.name, *notebook.figures)}
        self.content = Content(run.root)
        self._doit = _Dependency(manifest.Database, manifest.path_of(run), lambda: self.content)
        self.content.known |= self._doit.backend.states()

    def records(self):
        """Return what is recorded of each task that succeeded, in the order of the graph."""
        return self._doit.backend.records(self.makers)

    def selection(self, target):
        """Return the tasks that a target asks for, without those they need; InputError if it is unknown."""
        short = {name: task for name, (task, _) in targets(self.graph).items()}
        known = {"all": [n for n in self.graph if not n.extra], "notebooks": self.graph}
        known |= {n.name.partition("_")[2]: [n] for n in self.graph if n.extra}
        if target in known:
            return [name for n in known[target] for name in (n.name, *n.figures)]
        if target in short or target in self.makers:
            return [short.get(target, target)]
        raise InputError(f"no target {target!r}; use {', '.join([*known, *short])} or the name of a notebook")

    def make(self, selected):
        """Make what is stale of some tasks and of all they need; what a task raises ends it."""
        tasks, running, at_once = self._tasks(selected), {}, min(2 * n_cores() - 1, _AT_ONCE)
        waiting = dict(tasks)
        try:
            with ThreadPoolExecutor(at_once) as pool, kernels():
                while waiting or running:
                    name = self._next(waiting, running.values()) if len(running) < at_once else None
                    if name is None:
                        for future in wait(running, return_when=FIRST_COMPLETED).done:
                            future.result()
                            self._record(tasks[running.pop(future)])
                    elif self._is_stale(task := waiting.pop(name), tasks):
                        task.meta = {path: self.content.get_state(path) for path in task.file_dep}
                        task.values = manifest.about(self.run, self.content.name(self._source(name)))
                        make = self._figure if self._drawn(name) else self._notebook
                        running[pool.submit(make, name)] = name
        finally:
            self._doit.close()
            sweep(self.run)

    def stale(self, selected):
        """Return the tasks that `make` would run, each with doit's reasons; others may follow from them."""
        tasks = self._tasks(selected)
        status = {name: self._doit.get_status(task, tasks, get_log=True) for name, task in tasks.items()}
        return {name: found.reasons for name, found in status.items() if found.status != "up-to-date"}

    def executed(self, name):
        """Return where a notebook is kept as it ran."""
        return self.run.build / "notebooks" / f"{name}.ipynb"

    def _drawn(self, name):
        """Tell whether a task is a figure."""
        return name in self.makers[name].figures

    def _source(self, name):
        """Return the notebook of a task, or the module that draws the figure."""
        if self._drawn(name):
            return self.run.root / "compendium/figures" / f"{self.makers[name].figures[name]}.py"
        return self.run.root / "notebooks" / f"{name}.ipynb"

    def _next(self, waiting, running):
        """Return the first task that needs none of those that wait or run, or None."""
        busy, drawing = {*waiting, *running}, any(map(self._drawn, running))
        # Matplotlib draws one figure at a time.
        free = (n for n, t in waiting.items() if not (busy & set(t.task_dep) or (drawing and self._drawn(n))))
        return next(free, None)

    def _is_stale(self, task, tasks):
        found = self._doit.get_status(task, tasks)
        if found.status == "error":
            raise FileError(f"{task.name}: {found.get_error_message()}")
        return found.status != "up-to-date"

    def _record(self, task):
        """Keep what a task that succeeded took and made."""
        self.content.forget()
        notebook = self.makers[task.name]
        made = notebook.drawn(task.name, self.run) if self._drawn(task.name) else notebook.made(self.run)
        states = [self.content.get_state(self.content.name(path)) for path in made]
        task.values = manifest.finished(task.values, states)
        self._doit.save_success(task)

    def _tasks(self, selected):
        """Return some tasks and all they need by name, in an order that works."""
        needed = {name for task in selected for name in closure(self.makers[task].name, self.graph)}
        return {name: self._task(name) for name in self.makers if name in needed.union(selected)}

    def _task(self, name):
        notebook, run, root = self.makers[name], self.run, self.run.root
        before = [n for n in self.graph if n.name in closure(notebook.name, self.graph)]
        paths = [path for path in (root / "data/embedded").glob("*.*") if path.name not in ADDRESSES]
        # A spectrum of which an earlier notebook kept the name may be read again.
        paths += [run.grid_path, *(path for n in before for path in n.inputs(run))]
        kept, needs = [], [notebook.name]
        if not self._drawn(name):
            kept, needs = [self.content.name(self.executed(name))], notebook.needs
            before.remove(notebook)
        paths += [path for n in before for path in n.made(run)]
        source = self._source(name)
        sources = [self.content.name(path) for path in (source, *code_of(source, root))]
        for path in sources:
            self.content.get_state(path)
        return Task(
            name,
            None,
            file_dep=[*sources, *map(self.content.name, paths)],
            targets=kept,
            task_dep=needs,
            uptodate=[self._intact],
        )

    def _intact(self, task, values):
        """Tell whether what a task made is as recorded."""
        return all(verify.state(output, self.content) == "identical" for output in values.get("outputs", ()))

    def _notebook(self, name):
        notebook, began = self.makers[name], time.time()
        place = f"[{self.graph.index(notebook) + 1}/{len(self.graph)}] {name}"
        print(f"{place} ({self.run.key}) ...", flush=True)
        source = self.run.root / "notebooks" / f"{name}.ipynb"
        execute(source, self.run.parameters, self.executed(name), cwd=self.run.root)
        # The dates of files are a little behind the clock.
        old = [p for p in notebook.outputs(self.run) if not p.is_file() or p.stat().st_mtime < began - 0.05]
        if old:
            raise NotebookError(f"{name} ran, but did not write what it promises: {', '.join(map(str, old))}")
        print(f"{place} took {time.time() - began:.0f} s", flush=True)

    def _figure(self, name):
        self.draw(name, self.run)
        print(f"drew {name}", flush=True)


def build(run, target, graph=GRAPH, draw=None):
    """Make a target, publish what it publishes, and say so.

    SlamlibError if the target is unknown, the folder is in use, or a notebook is missing or fails.
    """
    with locked(run):
        work, short = Build(run, graph, draw), targets(graph)
        selected = work.selection(target)
        print(f"{target}: all of PROFILE={run.profile} takes {run.sizes.takes} on two cores;", end=" ")
        print("what is finished is not run again. `make quick` is the small size.", flush=True)
        work.make(selected)
        crate.write(work)
        if target == "all" or target in short:
            files = publish(run, short[target][1] if target in short else None, graph)
            print("\n".join(["Made:", *(f"  {file.relative_to(run.root)}" for file in files)]))


def main(arguments=None):
    """Run the command line, `sys.argv[1:]` by default; return the exit code."""
    text = __doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m compendium.pipeline.build", description=text)
    parser.add_argument("target", help="all, fig-N, table-N, notebooks, calibration, stale, verify, trace")
    parser.add_argument("file", nargs="?", default="", help="for trace: an output, such as fig03")
    add_options(parser)
    options = vars(parser.parse_args(arguments))
    target, file = options.pop("target"), options.pop("file")
    try:
        run = Run(**options)
        if target == "trace":
            print("\n".join(verify.trace(file, Build(run))))
        elif target == "stale":
            print("\n".join(verify.reasons(Build(run))))
        elif target == "verify":
            with locked(run):
                return verify.tell(verify.verify(Build(run)))
        else:
            build(run, target)
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # What waited for the kernel may find it dead, which is no news.
        logging.getLogger("asyncio").disabled = True
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130
    return 0


def _draw(name, run):
    # Late: matplotlib takes a second, and most builds have nothing to draw.
    figures = import_module("compendium.figures")
    figures.save(figures.draw(name, run), run.figures, name)


if __name__ == "__main__":
    sys.exit(main())
