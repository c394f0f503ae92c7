"""The pages of the site that are written from results: figures, calibration, benchmarks."""

import json
import shutil
from fnmatch import fnmatch

import numpy as np

from compendium.figures.captions import CAPTIONS
from compendium.pipeline.graph import GRAPH
from slamlib.io import read_ecsv

# Without the list of its sections a page has room for two columns.
_WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"
_FIGURES_OPENING = """# The paper's figures and ours

The figures of Guo et al. (2021) are theirs and not copied here: what each shows is put in words, with \
every number that the paper states with it, beside our figure. {stars} A verdict of *agrees* or *differs* is \
given only where like is compared with like: models with models, real stars with real stars. \
[Notebook 11](../../notebooks/11_claims.ipynb) says more.
"""
_SIMULATED = "**Our stars are simulated**, the paper's are LAMOST's; ours show that the path works."
_REAL = "Our stars are the LAMOST files in `data/raw/`."
_OTHERS = """## Other figures

The paper does not have these. Those of notebook 12 are on the page of the [calibration](calibration.md).
"""
# The notebook that draws each figure, and the one whose figures have a page of their own.
_MAKER = {figure: notebook.name for notebook in GRAPH for figure in notebook.figures}
_CALIBRATED = "12_calibration"


def figures_page(run):
    """Markdown of the paper's figures, in words and numbers, beside those of a run, then of its others."""
    claims = read_ecsv(run.tables / "claims.ecsv")
    stated = read_ecsv(run.root / "data/embedded/paper_claims.ecsv")
    text = dict(zip(stated["key"], stated["text"], strict=True))
    parts = [_WIDE + _FIGURES_OPENING.format(stars=_SIMULATED if run.simulated else _REAL)]
    for name, caption in CAPTIONS.items():
        if not caption.paper:
            continue
        rows = [row for row in claims if any(fnmatch(row["key"], pattern) for pattern in caption.claims)]
        parts += [
            f"## Fig. {int(name[3:])}: {caption.title}",
            ":::::{container} beside",
            f"::::{{container}} paper\n**The paper.** {caption.paper}\n\n{_claims_table(rows, text)}::::",
            f"::::{{container}} ours\n**Ours.** {_made_by(name)}\n\n{_image(name, run)}\n::::",
            ":::::",
            *_reasons(rows),
        ]
    parts.append(_OTHERS)
    for name, caption in CAPTIONS.items():
        if not caption.paper and _MAKER[name] != _CALIBRATED:
            parts += [f"### {caption.title}", _made_by(name), _image(name, run)]
    return "\n\n".join(parts) + "\n"


def _made_by(name):
    return f"Made by [{_MAKER[name]}](../../notebooks/{_MAKER[name]}.ipynb)."


def _claims_table(rows, text):
    if not rows:
        return "None of its numbers that we check belongs to this figure.\n"
    # The unit is that of both columns; a count has none.
    units = [f" [{row['unit']}]" if row["unit"] else "" for row in rows]
    names = [text[row["key"]] + unit for row, unit in zip(rows, units, strict=True)]
    cells = [(row["paper"], row["ours"], row["verdict"]) for row in rows]
    lines = [(name, *some) for name, some in zip(names, cells, strict=True)]
    return _table(("number", "paper", "ours", ""), lines, ".5g")


def _table(names, rows, digits=".3g"):
    """Markdown of a table: numbers with a point at these digits, to the right."""
    kinds = [isinstance(value, int | float | np.number) for value in rows[0]]
    lines = [names, ["--:" if number else "---" for number in kinds]]
    for row in rows:
        lines.append([format(v, digits) if isinstance(v, float | np.floating) else str(v) for v in row])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _reasons(rows):
    """Why ours differ, each reason once."""
    reasons = dict.fromkeys(row["why"] for row in rows if row["verdict"] in ("differs", "not comparable"))
    return [f"*Why they differ:* {'; '.join(reasons)}."] if reasons else []


def _image(name, run):
    caption, alt = CAPTIONS[name], CAPTIONS[name].description(run.simulated)
    words = [caption.title + "." * (not caption.title.endswith("?")), caption.ours]
    words += ["Simulated stars."] * (caption.stars and run.simulated)
    words.append(f"*Where it comes from:* `make trace FILE={name} {run.variables}`.")
    # An image that is a link leads to itself at full size.
    head = f":::{{figure}} /figures/{name}.png\n:alt: {alt}\n:target: ../../_images/{name}.png"
    return f"{head}\n\n{' '.join(filter(None, words))}\n:::"


_CALIBRATION = """# Calibration: how far errors can be trusted

Stars of known labels, drawn anew and put through everything that observed ones go through. They are \
**simulated**: what the simulation lacks, such as winds and binaries, the errors lack. A pull is \
(label - truth) / error; its width should be 1. [Notebook 12](../../notebooks/12_calibration.ipynb) explains \
each figure, [flags](../flags.md) says when to distrust a label, and `make calibration` makes all of it. \
Here at size *{profile}*.
"""


def calibration_page(run):
    """Markdown of the calibration: its figures, in words too, and its table."""
    table = read_ecsv(run.tables / "calibration.ecsv")
    figures = [_image(name, run) for name in CAPTIONS if _MAKER[name] == _CALIBRATED]
    numbers = _table(table.colnames, [tuple(row) for row in table])
    return "\n\n".join([_CALIBRATION.format(profile=run.profile), *figures, "## In numbers", numbers])


_BENCH_ALT = (
    "Seconds of training and labelling against the number of training spectra, pixels and stars, on "
    "logarithmic axes, for each method."
)
_BENCH_COLUMNS = ("work", "instrument", "n", "method", "seconds", "speedup", "peak_gb")


def benchmark_results(folder, figures):
    """Markdown of the last `make bench`, `bench.json` and `bench.png` in `folder`; the latter is copied."""
    if not (folder / "bench.json").is_file():
        return "\n## Results\n\n`make bench` has not run here: this copy of the site has none to show.\n"
    shutil.copy(folder / "bench.png", figures)
    results = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
    table = _table(_BENCH_COLUMNS, [[row[name] or "" for name in _BENCH_COLUMNS] for row in results])
    figure = f":::{{figure}} /figures/bench.png\n:alt: {_BENCH_ALT}\n\nThe last `make bench`.\n:::"
    return f"\n## Results\n\n{figure}\n\n{table}"
