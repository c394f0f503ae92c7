"""The cluster's figures as words, as a picture and in docs/cluster.md."""

from slamlib.errors import FileError
from slamlib.io import atomic
from slamlib.style import BLACK, BLUE, COLUMN, apj_style, new_figure, note_simulated

PAGE = "docs/cluster.md"
_BEGIN, _END = "<!-- figures: make bench-cluster -->", "<!-- end of figures -->"
_SURVEY = 10_000_000
# Stars of `make bench-cluster`; fewer make figures to be taken as a sketch.
FULL = 100_000


def tell(figures):
    """Return the figures as Markdown."""
    machine, size = figures["machine"], figures["bytes_per_star"]
    cpu = figures["cpu_seconds_per_star"]
    hours = cpu * _SURVEY / 3600
    rows = [
        ("workers", "stars", "seconds", "stars/s"),
        ("---:",) * 4,
        *(
            (f"{t['workers']}", f"{t['stars']:,}", f"{t['seconds']:.0f}", f"{t['per_second']:.1f}")
            for t in figures["throughput"]
        ),
    ]
    worker, client = figures["worker_mb"], figures["client_mb"]
    short = "" if figures["stars"] >= FULL else " **A short run, a sketch of `make bench-cluster`.**"
    return f"""Measured on {figures["date"]} on {machine["cores"]} cores ({machine["processor"]}, \
{machine["memory_gb"]:.0f} GB), with the models of {figures["models"]} size, on simulated stars.{short}

{figures["stars"]:,} simulated LRS stars in {figures["parts"]} parts of {figures["part"]}, \
{figures["workers"]} workers, {figures["killed"]} of them killed on the way:

| what | measured |
|---|---|
| rows of the catalogue | {figures["rows"]:,}: {figures["distinct"]:,} different stars, \
{"in" if figures["in_order"] else "NOT in"} the order of the files |
| rows with labels | {figures["labelled"]:,} |
| parts that a second run computes | {figures["computed_again"]} |
| rows that differ in any bit from those of one process | {figures["differing"]} of \
{figures["compared"]:,} compared |
| time, and speed with the killed workers | {figures["seconds"]:.0f} s, {figures["per_second"]:.1f} stars/s |
| memory of a worker, first and last tenth of the parts | {worker[0]:.0f} and {worker[1]:.0f} MB, \
at most {figures["worker_mb_max"]:.0f} MB |
| memory of client and scheduler, first and last tenth of the time | {client[0]:.0f} and {client[1]:.0f} MB |

Throughput of warm workers:

{chr(10).join("| " + " | ".join(row) + " |" for row in rows)}

Ten million spectra, from these figures:

| what | a spectrum | ten million |
|---|---|---|
| processor time, reading to labels | {cpu * 1000:.1f} ms | {hours:,.0f} core-hours: \
{hours / 100:.1f} hours on 100 cores, {hours / 24 / machine["cores"]:.1f} days on {machine["cores"]} |
| merge of the parts | {1000 / figures["merged_per_second"]:.2g} ms | \
{_SURVEY / figures["merged_per_second"] / 60:.1f} minutes of one core |
| spectra on disk (gzipped FITS, simulated) | {size["fits"] / 1e3:.1f} kB | \
{size["fits"] * _SURVEY / 1e9:.0f} GB |
| parts on disk | {size["parts"]:.0f} byte | {size["parts"] * _SURVEY / 1e9:.1f} GB |
| catalogue on disk | {size["catalogue"]:.0f} byte | {size["catalogue"] * _SURVEY / 1e9:.1f} GB |
| memory | | {figures["worker_mb_max"] / 1e3:.2f} GB a core, whatever the number of spectra |"""


def fill(page, figures):
    """Put the figures between the marks of a page.

    Raises
    ------
    FileError
        If the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise FileError(f"{page} lacks the marks {_BEGIN} and {_END}; restore it from git")
    with atomic(page) as temporary:
        temporary.write_text(f"{before}{begin}\n\n{tell(figures)}\n\n{end}{after}", encoding="utf-8")


@apj_style()
def draw(figures):
    """Draw throughput against workers, with the line of a perfect cluster."""
    figure = new_figure(COLUMN, 2.6)
    axes = figure.subplots()
    workers, speed = zip(*((t["workers"], t["per_second"]) for t in figures["throughput"]), strict=True)
    axes.plot(workers, speed, "o-", color=BLUE, label="measured")
    axes.plot(workers, [speed[0] * n / workers[0] for n in workers], ":", color=BLACK, label="in proportion")
    axes.set(xlabel="workers (one core each)", ylabel="LRS stars per second", ylim=(0, 1.2 * max(speed)))
    axes.set_xticks(workers)
    axes.minorticks_off()
    axes.legend()
    note_simulated(axes)
    return figure
