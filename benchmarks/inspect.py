"""Do the stars whose labels are wrong come first on the page of `slamlib inspect`? On the quick survey.

python -m benchmarks.inspect
"""

import numpy as np
from astropy.table import vstack

from compendium.run import Run
from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv
from slamlib.labelling.files import usable
from slamlib.labelling.inspection import worst_first
from slamlib.labelling.models import Models
from slamlib.labels import LABELS

# Labels are wrong that are off by more errors.
WRONG = 5.0


def errors_off(table, truth):
    """By how many errors the worst label of each row is off, (m,); a v sin i above its limit by 6."""
    off = [np.abs(table[k.name] - truth[k.name]) / table[f"e_{k.name}"] for k in LABELS]
    limit = np.asarray(table["vsini_limit"], dtype=float)
    off[-1] = np.where(np.isfinite(limit), 6.0 * (truth["vsini"] > limit), off[-1])
    return np.nanmax(np.array(off, dtype=float), axis=0)


def first_tenth(run, coolest=0.0):
    """Count the wrong rows, those of them in the first tenth, that tenth, and all rows with labels.

    Only stars whose true Teff [K] is above `coolest` count.
    """
    tables = []
    for name in INSTRUMENTS:
        table = read_ecsv(run.products / f"labels_{name}.ecsv")
        table["instrument"] = name
        tables.append(table)
    table = vstack(tables, metadata_conflicts="silent")
    truth = read_ecsv(run.products / "survey/truth.ecsv")
    row = {obsid: i for i, obsid in enumerate(truth["obsid"])}
    table = table[usable(table)]
    table = table[[truth["teff"][row[obsid]] > coolest for obsid in table["obsid"]]]
    wrong = errors_off(table, truth[[row[obsid] for obsid in table["obsid"]]]) > WRONG
    tenth = -(-len(table) // 10)
    first = worst_first(table, Models(folder=run.products))[:tenth]
    return int(wrong.sum()), int(wrong[first].sum()), tenth, len(table)


def main():
    """Print the rates."""
    run = Run("quick")
    for coolest, what in ((0.0, "all"), (15_000.0, "hotter than 15,000 K, as the models are")):
        wrong, found, tenth, n = first_tenth(run, coolest)
        print(
            f"{what}: {wrong} of {n} stars have a label more than {WRONG:.0f} errors off; {found} of them "
            f"are in the first tenth, of {tenth}: {found / min(wrong, tenth):.0%} of what it could hold"
        )


if __name__ == "__main__":
    main()
