"""Spoilt files end as a row with its reason, as labels that agree or are flagged, or as one clear error.

The tests spoil some hundred files; `make fuzz` thousands, and prints what became of each kind.
"""

import os
from collections import Counter

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from corruptions import ANY_FILE, CARDS, PIXELS, bomb
from fuzzing import ARRAYS, HEADER, LINES, Lab, as_table, spoil_and_label, spoil_and_read

from slamlib.errors import FileError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty.archives import entries
from slamlib.grid.tlusty.merge import write_grid
from slamlib.grid.tlusty.read import read_columns
from slamlib.grid.training import TrainingSet
from slamlib.instruments import INSTRUMENTS
from slamlib.io import MAX_SIZE, read_ecsv, write_ecsv
from slamlib.labelling.labeller import Labeller
from slamlib.labels import NAMES
from slamlib.regression.slam import Slam
from slamlib.spectra.hires import read_hires
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import read_many

LAMOST = {**ANY_FILE, **CARDS, **PIXELS}
SEED = int(os.environ.get("FUZZ_SEED", "257"))
GOOD = {"agrees", "flagged", "reason", "error", "same", "other numbers"}
READERS = ("model grid", "Slam", "Labeller", "TrainingSet")
READERS += ("table", "TLUSTY text", "spectrum in text", "spectrum in FITS")
# A digest or check sum tells that a number is another.
EXACT = READERS[:4]


@pytest.fixture(scope="module")
def labs(quick_run):
    return {name: Lab(name, quick_run.products.resolve()) for name in INSTRUMENTS}


def bad(outcomes, allowed=GOOD):
    return [outcome for outcome in outcomes if outcome[1] not in allowed]


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_no_spoilt_spectrum_ends_in_a_traceback_a_hang_or_a_silent_label(labs, instrument, tmp_path):
    rng = np.random.default_rng(SEED)
    outcomes = spoil_and_label(labs[instrument], LAMOST, len(LAMOST), rng, tmp_path / "spoilt.fits")
    assert bad(outcomes) == []
    # All three ends are met, or the test tests nothing.
    assert {outcome for _, outcome, _ in outcomes} == {"agrees", "flagged", "reason"}


def small_grid(path, grid):
    rows = np.arange(0, len(grid.nodes), 60)
    write_grid(path, grid.nodes[rows], 4000.0, 4.0, grid.flux[rows, :600])


def small_table(path):
    rng = np.random.default_rng(1)
    table = Table({name: rng.normal(size=20) for name in NAMES}, units={"teff": "K"})
    table["file"] = [f"spec-{i}.fits" for i in range(20)]
    table["status"] = "ok"
    write_ecsv(table, path)


def two_columns(path):
    wave = np.linspace(4000, 4100, 400)
    path.write_text("\n".join(f"{w:.3f} {1 - 0.1 * np.cos(w):.5E}" for w in wave) + "\n")


def fits_axis(path):
    hdu = fits.PrimaryHDU(np.linspace(1, 2, 4000, dtype=np.float32))
    hdu.header["CRVAL1"], hdu.header["CDELT1"], hdu.header["CTYPE1"] = 4000.0, 0.5, "AWAV"
    hdu.writeto(path)


def grid_content(path):
    grid = ModelGrid.read(path)
    return np.stack([grid.nodes[name] for name in NAMES[:3]]), grid.log_wave0, grid.dv, grid.flux


def slam_content(path):
    slam = Slam.read(path)
    return slam.predict(slam.training_labels_[:9]), slam.model_variance_, slam.training_labels_


def labeller_content(path):
    read = Labeller.read(path)
    flux = np.full((1, read.instrument.wave.size), 0.9)
    found = read.fit(flux, 1e3 * read.instrument.good[None], starts=1)
    return found.labels, found.errors, read.templates.flux, read.edge.plane, read.about, read.instrument


def training_content(path):
    training = TrainingSet.read(path)
    return training.labels, training.flux, training.instrument.name, training.seed


def tlusty_content(path):
    return [read_columns(content(), where) for where, content in entries(path)]


@pytest.fixture(scope="module")
def readers(grid, thin_slam, krr_slam, labeller, training, tmp_path_factory):
    """For each reader: a good file's content, what it says, ways to spoil it; whether it has a digest."""
    makers = {
        "model grid": (lambda p: small_grid(p, grid), grid_content, {**ANY_FILE, **CARDS}),
        "Slam": (thin_slam.save, slam_content, {**ANY_FILE, **ARRAYS}),
        "Labeller": (labeller(krr_slam.compress(50, 20)).save, labeller_content, {**ANY_FILE, **ARRAYS}),
        "TrainingSet": (training.first(4).save, training_content, {**ANY_FILE, **ARRAYS}),
        "table": (small_table, lambda p: dict(read_ecsv(p).columns.items()), {**ANY_FILE, **LINES, **HEADER}),
        "TLUSTY text": (two_columns, tlusty_content, {**ANY_FILE, **LINES}),
        "spectrum in text": (two_columns, read_hires, {**ANY_FILE, **LINES}),
        "spectrum in FITS": (fits_axis, read_hires, {**ANY_FILE, **CARDS}),
    }
    folder = tmp_path_factory.mktemp("readers")
    for name, (make, content, ways) in makers.items():
        make(folder / name)
        makers[name] = (folder / name).read_bytes(), content, ways
    return makers


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
@pytest.mark.parametrize("name", READERS)
def test_no_other_spoilt_file_ends_in_a_traceback_or_a_hang(readers, name, tmp_path):
    content, read_content, ways = readers[name]
    rng = np.random.default_rng(SEED)
    outcomes = spoil_and_read(content, read_content, ways, 3 * len(ways), rng, tmp_path / "spoilt")
    assert bad(outcomes) == []
    counts = Counter(outcome for _, outcome, _ in outcomes)
    assert counts["error"] > len(outcomes) / 2
    if name in EXACT:
        assert bad(outcomes, {"error", "same"}) == []


@pytest.mark.parametrize(
    "name",
    ["two words.fits", "two\nlines.fits", "tab\t\"and' quotes,.fits", "\udcff.fits", "-o.fits", "ä.fits"],
)
def test_any_name_of_a_file_gets_a_row_that_a_table_can_hold(labs, tmp_path, name):
    good, spoilt = tmp_path / name, tmp_path / f"x{name}"
    good.write_bytes(labs["LRS"].contents[0])
    spoilt.write_bytes(labs["LRS"].contents[0][:9000])
    _, ivar, table = read_many([good, spoilt], "LRS", rv=0.0, progress=False)
    assert ivar.any(axis=1).tolist() == [True, False]
    write_ecsv(table, tmp_path / "labels.ecsv")
    again = read_ecsv(tmp_path / "labels.ecsv")
    assert again["file"].tolist() == table["file"].tolist()
    assert all(text.isprintable() for text in [*again["file"], *again["reason"]])
    assert again["file"][1] in again["reason"][1]


@pytest.mark.parametrize("reader", [read, read_hires, tlusty_content], ids=["LAMOST", "hires", "TLUSTY"])
def test_a_gzip_bomb_is_refused_before_it_fills_memory(tmp_path, reader):
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(bomb(MAX_SIZE + (1 << 20)))
    with pytest.raises(FileError, match=r"bomb\.fits\.gz.*more than 256 MB"):
        reader(path)


@pytest.mark.parametrize("reader", [read, read_hires])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(FileError, match=r"pipe\.fits, which is no file"):
        reader(tmp_path / "pipe.fits")


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_thousands_of_spoilt_files(labs, readers, tmp_path, capsys):
    rng, n = np.random.default_rng(SEED), 15
    spectra, files = [], []
    for lab in labs.values():
        spectra += spoil_and_label(lab, LAMOST, n * len(LAMOST), rng, tmp_path / "spoilt.fits")
    for name, (content, read_content, ways) in readers.items():
        outcomes = spoil_and_read(content, read_content, ways, n * len(ways), rng, tmp_path / "spoilt")
        files += [(name, outcome, f"{kind}: {detail}") for kind, outcome, detail in outcomes]
    with capsys.disabled():
        print(f"\n\n{len(spectra)} spoilt LAMOST files, simulated stars\n")
        print(as_table(spectra, ("reason", "flagged", "agrees", "silent", "unclear", "traceback", "hang")))
        print(f"\n{len(files)} other spoilt files\n")
        print(as_table(files, ("error", "same", "other numbers", "unclear", "traceback", "hang")))
        for kind, outcome, detail in bad(spectra + files):
            print(f"{outcome}: {kind}: {detail}")
    assert bad(spectra + files) == []
    assert not [row for row in files if row[0] in EXACT and row[1] == "other numbers"]
