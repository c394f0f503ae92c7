"""The site: the docs, the executed notebooks of a run and its figures, built by Sphinx, offline.

`gather` copies them into one folder, with alternative text on each image; `build` runs Sphinx
on it, every warning an error.
"""

import argparse
import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from compendium.figures.captions import CAPTIONS
from compendium.run import DEFAULT_SEED, Run
from compendium.site.pages import benchmark_results, calibration_page, figures_page
from slamlib.errors import FileError, SlamlibError

# Pages that live beside what they describe.
PAGES = ("data/DATASETS.md", "benchmarks/README.md")
_QUOTED_FIGURE = re.compile(rf"[\"']({'|'.join(CAPTIONS)})(?:\.png)?[\"']")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")


def gather(run, source):
    """Copy everything that the site shows into one folder.

    Parameters
    ----------
    run : Run
        Its notebooks have run.
    source : Path
        Made anew.

    Raises
    ------
    FileError
        If a notebook of the run or a figure has not been made.
    """
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(run.root / "docs", source)
    (source / "figures").mkdir()
    for name in CAPTIONS:
        figure = run.figures / f"{name}.png"
        if not figure.is_file():
            raise FileError(f"no {figure}; run `make notebooks PROFILE={run.profile}` first")
        shutil.copy(figure, source / "figures")
    for name in PAGES:
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(run.root / name, source / name)
    with (source / "benchmarks/README.md").open("a", encoding="utf-8") as page:
        page.write(benchmark_results(run.root / "build", source / "figures"))
    (source / "results").mkdir()
    (source / "results/figures.md").write_text(figures_page(run), encoding="utf-8")
    (source / "results/calibration.md").write_text(calibration_page(run), encoding="utf-8")
    notebooks = _notebooks(run)
    for name, notebook in notebooks.items():
        describe_images(notebook, run.simulated)
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, source / name)
    # Only now is it known which links lead somewhere.
    for page in (*(f"docs/{path.name}" for path in (run.root / "docs").glob("*.md")), *PAGES):
        target = source / page.removeprefix("docs/")
        target.write_text(
            relink(target.read_text(encoding="utf-8"), page, source, run.root), encoding="utf-8"
        )
    for name, notebook in notebooks.items():
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = relink(cell.source, name, source, run.root)
        nbformat.write(notebook, source / name)


def _notebooks(run):
    """Every notebook by its path in the repository, executed if this run has executed it; no solutions."""
    found = {}
    for path in sorted((run.root / "notebooks").rglob("*.ipynb")):
        name = path.relative_to(run.root).as_posix()
        if "solution" in name or "checkpoint" in name:
            continue
        executed = run.build / name
        found[name] = nbformat.read(executed if executed.is_file() else path, as_version=4)
    return found


def describe_images(notebook, simulated):
    """Give each cell that shows an image its alternative text, unless its author has.

    A figure that `CAPTIONS` knows is told by its name in the cell; another one has the heading
    and the text above it. The notebook is changed in place.
    """
    heading, text = "", ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            lines = [line for line in _plain(cell.source).splitlines() if line.strip()]
            if lines and lines[0].startswith("#"):
                heading, text = lines[0].lstrip("# "), ""
            text = " ".join([text, *(line for line in lines if not line.startswith("#"))]).strip()
        elif any("image/png" in output.get("data", {}) for output in cell.get("outputs", ())):
            known = _QUOTED_FIGURE.findall(cell.source)
            shown = CAPTIONS[known[-1]].description(simulated) if known else f"{heading}. {text}"
            cell.metadata.setdefault("mystnb", {}).setdefault("image", {}).setdefault("alt", shown)
        if cell.cell_type == "code":
            # Progress bars redraw themselves; on a page each would be a line.
            cell.outputs = [
                output for output in cell.get("outputs", ()) if "\r" not in output.get("text", "")
            ]


def _plain(text):
    """Markdown without its links, emphasis and code marks."""
    return re.sub(r"[*`$]", "", _LINK.sub(r"\1", text))


def relink(text, page, source, root):
    """Turn links between files of the repository into links between pages of the site.

    Parameters
    ----------
    text : str
        Markdown.
    page : str
        Its path in the repository; `docs/` is the top of the site.
    source, root : Path
        The gathered folder and the repository.

    Returns
    -------
    str
        A file that is not on the site is named and no longer linked; what does not exist is
        left for Sphinx to complain of.
    """

    def turn(match):
        label, target, anchor = match.groups(default="")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        on_site = place.removeprefix("docs/")
        if (source / on_site).is_file():
            here = posixpath.dirname(page.removeprefix("docs/")) or "."
            return f"[{label}]({posixpath.relpath(on_site, here)}{anchor})"
        return label if (root / place).exists() else match.group()

    parts = _CODE.split(text)
    parts[::2] = [_LINK.sub(turn, part) for part in parts[::2]]
    return "".join(parts)


def build(run, folder):
    """Gather and build the site; return its first page.

    Parameters
    ----------
    run : Run
    folder : Path
        Gets `source/` and `html/`.

    Raises
    ------
    SlamlibError
        If Sphinx warns of anything; its messages are printed.
    """
    source, html = Path(folder) / "source", Path(folder) / "html"
    gather(run, source)
    shutil.rmtree(html, ignore_errors=True)
    stars = "stars are simulated" if run.simulated else "spectra are real LAMOST files"
    note = f"Made by PROFILE={run.profile} SEED={run.seed}, grid {run.grid}: {stars}."
    # One process: with several, Sphinx 9.0 loses an error of a writer and calls it success.
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-d", str(Path(folder) / "doctrees"), "-D", f"html_theme_options.announcement={note}"]
    command += [str(source), str(html)]
    result = subprocess.run(command, cwd=run.root, env=os.environ | {"PYTHONWARNINGS": ""})
    if result.returncode:
        raise SlamlibError("the site was not built: mend what Sphinx names above")
    return html / "index.html"


def main(arguments=None):
    """Build the site of a run in `build/site`; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m compendium.site.build")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--source", default="mock")
    parser.add_argument("--grid", default="embedded")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--rv", default="measured")
    options = parser.parse_args(arguments)
    try:
        run = Run(options.profile, options.source, options.grid, options.seed, options.rv)
        first = build(run, run.root / "build" / "site")
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Made:\n  {first.relative_to(run.root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
