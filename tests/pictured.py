"""What the figures are drawn from in their tests: made-up tables and spectra of the right shape."""

import numpy as np
from astropy.table import Table
from compendia import EMBEDDED
from matplotlib.text import Text

from compendium import figures
from slamlib.labels import NAMES
from slamlib.spectra.drawing import LINES

BOX = np.array([[15000, 2.0], [30000, 3.0], [55000, 4.0], [55000, 4.75], [15000, 4.75]])
FIT = dict(zip(NAMES, (16841, 4.3, -0.18, 111), strict=True))
FIT |= {"e_teff": 120, "e_logg": 0.02, "e_mh": 0.04, "e_vsini": 6, "vsini_limit": np.nan}
RANGES = np.array([[15000, 1.75, -1, 0], [55000, 4.75, 0.3, 300]])


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def spectrum(instrument, snr, seed=3):
    """Gaussian absorption at the named lines: normalised flux with noise, ivar, model."""
    wave = instrument.wave
    model = np.ones(wave.size)
    for _, centres in LINES:
        for centre in centres:
            model -= 0.2 * np.exp(-0.5 * ((wave - centre) / 2) ** 2)
    noise = np.random.default_rng(seed).normal(0, 1 / snr, wave.size)
    return np.where(instrument.good, model + noise, 1.0), snr**2 * instrument.good, model


def fitted(instrument, **changes):
    """The spectrum and the observed one that `fig_fit` draws; `changes` replace arrays of the first."""
    flux, ivar, model = spectrum(instrument, 80)
    wave, continuum = instrument.wave, 2e4 * (instrument.wave / 5000) ** -2
    none = np.zeros(wave.size, bool)
    observed = {"wave": wave, "flux": flux * continuum, "ivar": ivar, "continuum": continuum}
    return {"wave": wave, "flux": flux, "ivar": ivar, "model": model, "rejected": none} | changes, observed


def fit(instrument, simulated=True):
    return figures.fig_fit(*fitted(instrument), instrument, FIT, "star 1", simulated)


def sky():
    rng = np.random.default_rng(4)
    sizes = {"LRS": 300, "MRS": 90}.items()
    return {name: Table({"ra": rng.uniform(0, 360, n), "dec": rng.uniform(-10, 60, n)}) for name, n in sizes}


def cv_table(sizes):
    errors = dict(zip(NAMES, (400, 0.04, 0.06, 6), strict=True))
    rows = [
        (name, n, "svr", snr, label, error * (1 + 60 / snr) / n**0.1, error * 3 / snr)
        for name, counts in sizes.items()
        for n in counts
        for snr in (100, 20, 60)
        for label, error in errors.items()
    ]
    return Table(rows=rows, names=("instrument", "n_train", "regressor", "snr", "label", "scatter", "bias"))


def catalogue(n, seed):
    rng = np.random.default_rng(seed)
    teff, logg = rng.uniform(11000, 35000, n), rng.normal(4, 0.4, n)
    return Table({"teff": teff, "logg": logg, "flag": np.where((teff > 15000) & (logg < 4.75), "I", "O")})


def hrs_table(origin="simulated"):
    rng = np.random.default_rng(5)
    columns = {"star": [f"HD{i}" for i in range(12)] * 2, "instrument": ["LRS"] * 12 + ["MRS"] * 12}
    columns |= {"origin": np.array([origin, *["simulated"] * 23], "U20"), "flag": ["O", *["I"] * 23]}
    columns["status"] = np.full(24, "ok", "U20")
    known = (("teff", 22000, 4000, 500), ("logg", 4, 0.2, 0.1), ("vsini", 60, 30, 8))
    for name, centre, spread, error in known:
        truth = np.tile(rng.normal(centre, spread, 12), 2)
        columns |= {f"{name}_hrs": truth, f"e_{name}_hrs": np.full(24, error / 3)}
        columns |= {name: truth + rng.normal(0, error, 24), f"e_{name}": np.full(24, error)}
    return Table(columns | {"vsini_limit": np.full(24, np.nan)})


def common_table():
    rng = np.random.default_rng(6)
    table = Table({"snr_lrs": rng.uniform(100, 400, 50)})
    for end in ("lrs", "mrs"):
        table[f"flag_{end}"], table[f"vsini_limit_{end}"] = "I", np.nan
    for name, centre, spread in zip(NAMES, (22000, 4, -0.2, 120), (4000, 0.2, 0.2, 60), strict=True):
        truth = rng.normal(centre, spread, 50)
        for end in ("lrs", "mrs"):
            table[f"{name}_{end}"] = truth + rng.normal(0, spread / 10, 50)
            table[f"e_{name}_{end}"] = np.full(50, spread / 10)
    return table


def posterior(n=20000):
    sigma = np.array([280, 0.04, 0.05, 6])
    correlation = np.array([[1, 0.8, 0.3, 0], [0.8, 1, 0.1, 0.1], [0.3, 0.1, 1, -0.3], [0, 0.1, -0.3, 1]])
    mean, covariance = np.array([22000, 3.95, -0.1, 40]), correlation * np.outer(sigma, sigma)
    return np.random.default_rng(7).multivariate_normal(mean, covariance, n), mean, covariance


def hr_diagram(simulated=True, extension=None):
    isochrones = Table.read(EMBEDDED / "parsec_isochrones.ecsv")
    stars = {"LRS": catalogue(2000, 1), "MRS": catalogue(900, 2)}
    if extension is not None:
        stars["LRS"]["flag"][:30] = "X"
    return figures.fig07_hr_diagram(stars, isochrones, BOX, simulated, extension)


def grid_nodes():
    """Two columns of B stars and one of O stars at two metallicities."""
    columns = ((15000, (3, 3.5, 4), 2, "BSTAR2006"), (17000, (3, 3.5, 4), 2, "BSTAR2006"))
    columns += ((32500, (3.25, 4, 4.75), 10, "TLUSTY"),)
    rows = [(t, g, mh, v, source) for t, some, v, source in columns for g in some for mh in (-0.5, 0.0)]
    return Table(rows=rows, names=("teff", "logg", "mh", "vturb", "source"))


def training_set(nodes=None):
    published = Table.read(EMBEDDED / "tlusty_nodes.ecsv")
    rng = np.random.default_rng(8)
    low, high = [15000, 3, -1, 0], [30000, 4.75, 0.3, 300]
    labels = {name: rng.uniform(low, high, (n, 4)) for name, n in (("LRS", 50), ("MRS", 200))}
    return figures.fig02_training_set(grid_nodes() if nodes is None else nodes, published, labels, BOX)
