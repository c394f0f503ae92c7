"""The site: the repository's pages, with what a run has made laid over them, built by Sphinx, offline."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import nbformat

from compendium.figures.captions import CAPTIONS
from compendium.run import Run, add_options
from compendium.site.pages import benchmark_results, calibration_page, figures_page
from slamlib.errors import FileError, SlamlibError

_QUOTED_FIGURE = re.compile(rf"[\"']({'|'.join(CAPTIONS)})(?:\.png)?[\"']")
_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
# The pages are in docs/, as in the repository; who opens the folder finds the first one. Browsers ask for
# /favicon.ico where a page names no icon; this one names an empty one, since it is left at once.
_FIRST = """<link rel="icon" href="data:,">
<meta http-equiv="refresh" content="0; url=docs/index.html">
<a href="docs/index.html">slamlib</a>
"""


def gather(run, source):
    """Lay what a run has made over a copy of the repository's pages, whose links hold as they are.

    The notebooks of the run have run; the folder `source` is made anew. FileError if a figure has not been
    made.
    """
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(run.root / "docs", source / "docs")
    unseen = shutil.ignore_patterns("*solution*", "*checkpoint*")
    shutil.copytree(run.root / "notebooks", source / "notebooks", ignore=unseen)
    for page in (*run.root.glob("*.md"), run.root / "data/DATASETS.md", run.root / "benchmarks/README.md"):
        target = source / page.relative_to(run.root)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(page, target)
    (source / "figures").mkdir()
    for name in CAPTIONS:
        figure = run.figures / f"{name}.png"
        if not figure.is_file():
            raise FileError(f"no {figure}; run `make notebooks PROFILE={run.profile}` first")
        shutil.copy(figure, source / "figures")
    for path in sorted((source / "notebooks").rglob("*.ipynb")):
        lesson = run.root / "build/lessons" / path.name  # the same for every run
        executed = lesson if path.parent.name == "teaching" else run.build / path.relative_to(source)
        notebook = nbformat.read(executed if executed.is_file() else path, as_version=4)
        tidy(notebook, run.simulated)
        nbformat.write(notebook, path)
    with (source / "benchmarks/README.md").open("a", encoding="utf-8") as page:
        page.write(benchmark_results(run.root / "build", source / "figures"))
    (source / "docs/results").mkdir()
    (source / "docs/results/figures.md").write_text(figures_page(run), encoding="utf-8")
    (source / "docs/results/calibration.md").write_text(calibration_page(run), encoding="utf-8")


def tidy(notebook, simulated):
    """Ready a notebook for the site, in place: images described, nothing shown twice or half drawn.

    An image has the alternative text of its author; else of the figure of `CAPTIONS` that its cell
    names; else the heading and the text above it. Each links to its full size. Of the parameters
    only those stay that the notebook was run with, and of a progress bar nothing.
    """
    tags = [set(cell.metadata.get("tags", ())) for cell in notebook.cells]
    if any("injected-parameters" in some for some in tags):
        pairs = zip(notebook.cells, tags, strict=True)
        notebook.cells = [cell for cell, some in pairs if "parameters" not in some]
    heading, text = "", ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            plain = re.sub(r"[*`$]", "", _LINK.sub(r"\1", cell.source))
            lines = [line for line in plain.splitlines() if line.strip()]
            if lines and lines[0].startswith("#"):
                heading, text = lines[0].lstrip("# "), ""
            text = " ".join([text, *(line for line in lines if not line.startswith("#"))]).strip()
        elif cell.cell_type == "code":
            said = [output.get("text", "no stream") for output in cell.outputs]
            kept = [some.strip() != "" and "\r" not in some for some in said]
            cell.outputs = [output for output, keep in zip(cell.outputs, kept, strict=True) if keep]
            drawn = [some.data["image/png"] for some in cell.outputs if "image/png" in some.get("data", {})]
            if drawn:
                known = _QUOTED_FIGURE.findall(cell.source)
                shown = CAPTIONS[known[-1]].description(simulated) if known else f"{heading}. {text}"
                options = cell.metadata.setdefault("mystnb", {}).setdefault("image", {})
                options.setdefault("alt", shown)
                # Its own width, in the first bytes of a PNG: Sphinx links what has a width to full size.
                options.setdefault("width", f"{int.from_bytes(b64decode(drawn[0])[16:20])}px")


def build(run, folder):
    """Gather and build the site in `source/` and `html/` of a folder; return its first page.

    SlamlibError if Sphinx warns of anything; its messages are printed.
    """
    source, html = Path(folder) / "source", Path(folder) / "html"
    gather(run, source)
    shutil.rmtree(html, ignore_errors=True)
    stars = "stars are simulated" if run.simulated else "spectra are real LAMOST files"
    note = f"Made by PROFILE={run.profile} SEED={run.seed}, grid {run.grid}: {stars}."
    # One process: with several, Sphinx 9.0 loses an error of a writer and calls it success.
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-d", str(Path(folder) / "doctrees"), "-D", f"html_theme_options.announcement={note}"]
    command += ["-c", str(source / "docs"), str(source), str(html)]
    result = subprocess.run(command, cwd=run.root, env=os.environ | {"PYTHONWARNINGS": ""})
    if result.returncode:
        raise SlamlibError("the site was not built: mend what Sphinx names above")
    (html / "index.html").write_text(_FIRST, encoding="utf-8")
    return html / "index.html"


def main(arguments=None):
    """Build the site of a run in `build/site`; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m compendium.site.build")
    add_options(parser)
    try:
        run = Run(**vars(parser.parse_args(arguments)))
        first = build(run, run.root / "build" / "site")
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Made:\n  {first.relative_to(run.root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
