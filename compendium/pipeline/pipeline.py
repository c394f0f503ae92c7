"""The pipeline: make decides what is stale, this module runs it and publishes the results.

    python -m compendium.pipeline.pipeline plan TARGET     write the rules for make, print their path
    python -m compendium.pipeline.pipeline run NOTEBOOK    run one notebook
    python -m compendium.pipeline.pipeline publish [NAME]  copy figures and tables to the top level
    python -m compendium.pipeline.pipeline expect          remember what is recorded, before `plan verify`
    python -m compendium.pipeline.pipeline verify          is every output what was remembered?
    python -m compendium.pipeline.pipeline trace FILE      where a figure or table comes from

Each takes --profile, --source, --grid, --seed and --rv; the Makefile is the usual caller.
"""

import argparse
import filecmp
import os
import shlex
import shutil
import sys
from collections import Counter

from compendium.pipeline import crate, manifest, verify
from compendium.pipeline.execute import NotebookError, execute
from compendium.pipeline.graph import GRAPH, closure, find, targets
from compendium.pipeline.imports import code_of, content_of
from compendium.pipeline.manifest import stamp_of
from compendium.run import DEFAULT_SEED, Run
from slamlib.errors import FileError, InputError, SlamlibError
from slamlib.io import atomic


def plan(run, target, graph=GRAPH):
    """Write the rules that make follows for this run and return their path.

    A notebook is stale when the text of its cells, a notebook it needs, the embedded data (save the tables of
    addresses), the grid, what else it reads or the slamlib code it imports is newer than its
    stamp, or when a file it promised is gone. A folder is newer when files came or went.

    Parameters
    ----------
    run : Run
    target : str
        "all", "fig-N" or "table-N"; "notebooks", "calibration" and "verify" (all that is
        recorded) publish nothing.
    graph : tuple of Notebook

    Raises
    ------
    InputError, FileError
        If the target is unknown or a notebook it needs is missing.
    """
    short = targets(graph)
    alone = {n.name.partition("_")[2]: n.name for n in graph if n.extra}
    if target not in ("all", "notebooks", "verify", *alone, *short):
        raise InputError(f"no target {target!r}; use all, notebooks, {', '.join([*alone, *short])}")
    last = short[target][0] if target in short else alone.get(target)
    extra = [
        n.name for n in graph if n.extra and target == "verify" and manifest.record_of(n.name, run).exists()
    ]
    every = [n.name for n in graph if target == "notebooks" or not n.extra or n.name in extra]
    wanted = closure(last, graph) if last else every
    data = [*manifest.embedded_data(run), run.grid_path]
    lines = ["# Written by compendium.pipeline.pipeline; edit compendium/pipeline/graph.py instead.", ""]
    for notebook in graph:
        if notebook.name not in wanted:
            continue
        path = run.root / "notebooks" / f"{notebook.name}.ipynb"
        if not path.is_file():
            raise FileError(f"{path} is missing; restore it from git")
        stamp = stamp_of(notebook.name, run)
        if not all(file.is_file() for file in notebook.outputs(run)):
            stamp.unlink(missing_ok=True)
        needs = [stamp_of(name, run) for name in notebook.needs]
        content = run.build / "content" / f"{notebook.name}.txt"
        if not content.is_file() or content.read_text(encoding="utf-8") != content_of(path):
            with atomic(content) as temporary:
                temporary.write_text(content_of(path), encoding="utf-8")
        code = code_of(path, run.root)
        inputs = dict.fromkeys([content, *needs, *code, *data, *notebook.inputs(run)])
        lines += [
            f"{_make_name(stamp, run)}: {' '.join(_make_name(file, run) for file in inputs)}",
            f"\t@{_command(run, 'run', notebook.name)}",
            "",
        ]
    stamps = " ".join(_make_name(stamp_of(name, run), run) for name in wanted)
    names = [short[target][1]] if target in short else []
    lines += [".PHONY: all notebooks", f"notebooks: {stamps}"]
    if target not in ("notebooks", "verify", *alone):
        lines += [f"all: notebooks\n\t@{_command(run, 'publish', *names)}"]
    rules = run.build / f"{target}.mk"
    with atomic(rules) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return rules


def run_notebook(run, name, graph=GRAPH):
    """Run one notebook, check what it promised, record what made it, and stamp it.

    Parameters
    ----------
    run : Run
    name : str
    graph : tuple of Notebook

    Raises
    ------
    InputError, FileError, NotebookError
        If the notebook is unknown, missing, fails, or leaves a promised file unwritten.
    """
    notebook = find(name, graph)
    place = f"[{graph.index(notebook) + 1}/{len(graph)}] {name}"
    print(f"{place} ({run.key}) ...", flush=True)
    record, before = manifest.begin(notebook, run.parameters, run, graph), _states(notebook.outputs(run))
    # The stamp is created before the run and moved into place after it, so it bears the
    # date of the beginning: an edit made meanwhile makes the notebook stale again.
    with atomic(stamp_of(name, run)) as stamp:
        stamp.touch()
        try:
            source = run.root / "notebooks" / f"{name}.ipynb"
            execute(source, run.parameters, run.build / "notebooks" / f"{name}.ipynb", cwd=run.root)
        finally:
            _sweep(run)
        after = _states(notebook.outputs(run))
        unwritten = [str(path) for path, state in after.items() if state is None or state == before[path]]
        if unwritten:
            raise NotebookError(f"{name} ran, but did not write what it promises: {', '.join(unwritten)}")
        seconds = manifest.finish(record, notebook, run)
    crate.write(run, graph)
    print(f"{place} took {seconds:.0f} s", flush=True)


def publish(run, name=None, graph=GRAPH):
    """Copy the run's figures and tables to `figures/` and `tables/` at the top level.

    A file that is already the same is left alone, date and all. A file that this run cannot
    make but another could (such as the recovery of simulated labels) is removed when
    everything is published, lest it be taken for this run's.

    Parameters
    ----------
    run : Run
    name : str, optional
        One figure or table, such as "fig03"; everything by default.
    graph : tuple of Notebook

    Returns
    -------
    list of Path
        The published files.
    """
    # What is no part of the paper is published if it was made.
    files = [
        file for notebook in graph for file in notebook.published(run) if not notebook.extra or file.is_file()
    ]
    if name is None:
        for table in (table for notebook in graph for table in notebook.mock_tables if not run.simulated):
            (run.root / "tables" / table).unlink(missing_ok=True)
    else:
        files = [file for file in files if file.stem == name]
    _sweep(run)
    published = []
    for file in files:
        target = run.root / file.parent.name / file.name
        if not (target.is_file() and filecmp.cmp(file, target, shallow=False)):
            with atomic(target) as temporary:
                shutil.copyfile(file, temporary)
        published.append(target)
    return sorted(published)


def main(arguments=None):
    """Run the command line; return the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        `sys.argv[1:]` by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m compendium.pipeline.pipeline", description=__doc__.split("\n")[0]
    )
    parser.add_argument("action", choices=("plan", "run", "publish", "expect", "verify", "trace"))
    parser.add_argument("name", nargs="?", help="a target, a notebook or a figure")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--source", default="mock")
    parser.add_argument("--grid", default="embedded")
    parser.add_argument("--seed", type=_whole, default=DEFAULT_SEED)
    parser.add_argument("--rv", default="measured")
    options = parser.parse_args(arguments)
    try:
        run = Run(options.profile, options.source, options.grid, options.seed, options.rv)
        if options.action == "plan":
            rules = plan(run, options.name or "all")
            _announce(run, options.name or "all")
            print(rules)
        elif options.action == "run":
            run_notebook(run, options.name or "")
        elif options.action == "expect":
            verify.expect(run)
        elif options.action == "verify":
            return _tell(verify.verify(run))
        elif options.action == "trace":
            print("\n".join(verify.trace(options.name or "", run)))
        else:
            files = publish(run, options.name)
            print("\n".join(["Made:", *(f"  {file.relative_to(run.root)}" for file in files)]))
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130
    return 0


def _whole(text):
    return int(text) if text.isdecimal() else text  # Run says what is wrong with a text


def _tell(rows):
    """Print the state of each output; return the exit code."""
    for state, path, maker in rows:
        print(f"{state:10}{path}  ({maker})")
    count = Counter(state for state, _, _ in rows)
    print(", ".join(f"{count[state]} {state}" for state in ("identical", "new", "changed", "missing")))
    return 1 if count["changed"] or count["missing"] else 0


def _announce(run, target):
    # To stderr: the path of the rules is all that stdout carries.
    print(
        f"{target}: everything at PROFILE={run.profile} takes {run.sizes.takes} on two cores;",
        file=sys.stderr,
    )
    advice = (
        "`make quick` is the short version" if run.profile == "paper" else "`make paper` is the full size"
    )
    print(f"finished notebooks are not run again; {advice}.", file=sys.stderr)


def _command(run, action, *names):
    options = [text for name, value in run.parameters.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "compendium.pipeline.pipeline", action, *names, *options]
    return shlex.join(command).replace("$", "$$")


def _make_name(path, run):
    """Spell a path for make, relative to the root where possible."""
    path = path.relative_to(run.root) if path.is_relative_to(run.root) else path
    return str(path).replace("$", "$$").replace(" ", "\\ ")


def _states(paths):
    """Return what tells a rewritten file from an untouched one; None for an absent file."""
    states = {}
    for path in paths:
        status = path.stat() if path.is_file() else None
        states[path] = status and (status.st_ino, status.st_mtime_ns, status.st_size)
    return states


def _sweep(run):
    """Remove the temporary files of `atomic` whose writer was killed."""
    for folder in (run.products, run.build, run.root / "figures", run.root / "tables"):
        for path in folder.rglob(".[0-9]*.*"):
            pid = path.name.split(".")[1]
            if pid.isdigit() and not _alive(int(pid)):
                path.unlink(missing_ok=True)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main())
