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


def ranked(run, coolest=0.0):
    """Tell which rows, in the order of the page, are wrong, and which the table warns of: (n,) each.

    Warned of are flag O, outside the models, and any status but ok. Only stars whose true Teff [K] is above
    `coolest` count.
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
    warned = (table["flag"] == "O") | (table["status"] != "ok")
    order = worst_first(table, Models(folder=run.products))
    return np.asarray(wrong)[order], np.asarray(warned)[order]


def main():
    """Print the rates."""
    run = Run("quick")
    for coolest, what in ((0.0, "all"), (15_000.0, "hotter than 15,000 K, as the models are")):
        wrong, warned = ranked(run, coolest)
        tenth = -(-len(wrong) // 10)
        print(
            f"{what}: {wrong.sum()} of {len(wrong)} stars have a label more than {WRONG:.0f} errors off. "
            f"{(wrong & warned).sum()} of them are outside the models or have a status that warns; "
            f"wrong among the {(~warned).sum()} others: {(wrong & ~warned).sum()}."
        )
        for places in (tenth, 2 * tenth, 3 * tenth):
            found = wrong[:places].sum()
            most = min(places, wrong.sum())
            print(f"  first {places} places: {found} wrong, {found / most:.0%} of what they could hold")


if __name__ == "__main__":
    main()
