"""Which of the paper's conclusions hold for the models and stars of a run, and by which numbers."""

import numpy as np
from astropy.table import Table

from compendium.hrs import comparable, floats
from compendium.hrs_stars import LIBRARY, REAL
from slamlib.inference.validate import scatter_and_bias
from slamlib.labels import NAMES

# A sample suffices if the next larger one lowers no scatter by more than this part.
_GAIN = 0.2
# Real stars scatter more than models if their error is that many times larger.
_MORE = 1.5
# A correlation is weak below this.
_WEAK = 0.5


def of_models(cv, sample_size, n_train, largest_c):
    """Conclusions that model spectra alone can test.

    Parameters
    ----------
    cv, sample_size : Table
        As `slamlib.inference.validate.cross_validate` gives them: of "svr" and "krr", and of "svr"
        for several training sizes.
    n_train : dict of int
        The training size of each instrument that the paper calls sufficient.
    largest_c : dict of float
        Share of the pixels of each instrument that choose the largest C offered.

    Returns
    -------
    Table
        conclusion, holds ("yes", "no", "not shown" or "unclear", where the paper contradicts
        itself) and evidence. At SNR = 100 where not said otherwise; errors are rms for the
        paper's regression and typical ones (mad) for kernel ridge.
    """
    rows = []
    for regressor, column in (("svr", "scatter"), ("krr", "mad")):
        for label, better in zip(NAMES, ("LRS", "LRS", "LRS", "MRS"), strict=True):
            svr = cv[cv["regressor"] == regressor]
            lrs, mrs = (_at(svr, name, label, 100)[column][0] for name in ("LRS", "MRS"))
            holds = (lrs < mrs) == (better == "LRS")
            evidence = f"{column} LRS {_number(lrs)}, MRS {_number(mrs)}"
            rows.append((f"{better} is better in {label} ({regressor})", _yes(holds), evidence))
    rows.append(
        (
            "section 6: MRS is better in Teff, log g and [M/H]",
            "unclear",
            "the abstract and sections 4.3 and 4.4 say LRS; for ours see the rows above",
        )
    )
    for name, own in n_train.items():
        rows.append((f"{own} spectra suffice for {name}", *_sufficient(sample_size, name, own)))
    for name, share in largest_c.items():
        evidence = f"{100 * share:.3g}% of the pixels choose the largest, the edge of what is tried"
        rows.append((f"the values of C tried suffice for {name}", _yes(share < _WEAK), evidence))
    for name in n_train:
        svr = cv[cv["regressor"] == "svr"]
        rows.append((f"biases go to zero as SNR rises ({name})", *_biases(svr, name)))
    return _table(rows)


def of_stars(steps, labels, common, hrs, posterior, simulated):
    """Conclusions about observed stars; those that simulated ones cannot test are "not shown".

    A Table as of `of_models`.

    Parameters
    ----------
    steps : Table
        As `compendium.mismatch.ladder` gives it, of both instruments.
    labels : dict of Table
        Catalogue of each instrument.
    common : Table
        Stars that both observed.
    hrs : Table
        The stars known from high-resolution spectra, with origin "real" or "simulated".
    posterior : mapping
        samples (n, 4) and covariance (4, 4) of one star.
    simulated : bool
        Whether the observed stars are simulated.
    """
    rows = [_real_scatter(steps, hrs, name) for name in ("LRS", "MRS")]
    rows += [
        (f"outside the grid: late B, high gravity, few or filled lines ({name})", *_groups(table, simulated))
        for name, table in labels.items()
    ]
    rows.append(
        (
            "9,382 MRS stars (section 2)",
            "unclear",
            f"Table 2 has 9,238; ours {len(labels['MRS'])}, of which "
            f"{int(np.isfinite(floats(labels['MRS'], 'teff')).sum())} have labels",
        )
    )
    rows += [_above(common, label, simulated) for label in NAMES]
    rows.append(_slow(hrs))
    by_samples = np.corrcoef(np.asarray(posterior["samples"])[:, :2].T)[0, 1]
    covariance = np.asarray(posterior["covariance"])
    by_fit = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    evidence = f"{by_samples:.2f} by MCMC, {by_fit:.2f} by the inverse Fisher matrix of the fit"
    evidence += " (a simulated star)" if simulated else ""
    weak = max(abs(by_samples), abs(by_fit)) < _WEAK
    rows.append(("Teff and log g of one star correlate weakly (Fig. 10)", _yes(weak), evidence))
    return _table(rows)


def _table(rows):
    return Table(rows=rows, names=("conclusion", "holds", "evidence"))


def _sufficient(sample_size, name, own):
    """Whether the next larger sample gains less than `_GAIN` in every label, and what it gains."""
    larger = sample_size["n_train"][(sample_size["instrument"] == name) & (sample_size["n_train"] > own)]
    if not len(larger):
        return "not shown", "no larger sample at this profile"
    more = int(min(larger))
    ratios = []
    for label in NAMES:
        rows = _at(sample_size, name, label, 100)
        scatter = dict(zip(rows["n_train"], rows["scatter"], strict=True))
        ratios.append(scatter[more] / scatter[own])
    listed = ", ".join(f"{label} {ratio:.2f}" for label, ratio in zip(NAMES, ratios, strict=True))
    return _yes(min(ratios) > 1 - _GAIN), f"scatter with {more} over that with {own}: {listed}"


def _biases(cv, name):
    """Whether each bias at the highest SNR is smaller than at the lowest, or none at all."""
    low, high = min(cv["snr"]), max(cv["snr"])
    holds, told = [], []
    for label in NAMES:
        first, last = (_at(cv, name, label, snr)[0] for snr in (low, high))
        error = last["scatter"] / np.sqrt(last["n"])
        holds.append(abs(last["bias"]) < max(2 * error, abs(first["bias"])))
        told.append(f"{label} {_number(first['bias'])} to {_number(last['bias'])} +- {_number(error)}")
    evidence = f"from SNR {low:g} to {high:g}: {', '.join(told)}; within 2 standard errors counts as zero"
    return _yes(all(holds)), evidence


def _real_scatter(steps, hrs, name):
    of = steps[(steps["instrument"] == name) & (steps["label"] == "teff")]
    rms = dict(zip(of["step"], of["rms"], strict=True))
    alone = rms["noise alone"]
    stars = np.isin(hrs["origin"], (REAL, LIBRARY))
    real = hrs[(hrs["instrument"] == name) & stars & comparable(hrs, "teff")]
    conclusion = f"real stars scatter more than models ({name})"
    if not len(real):
        evidence = (
            f"no real spectrum; simulated stars, rms of Teff: {alone:.0f} K by noise alone, "
            f"{rms['+ continuum']:.0f} K with all mismatches, {rms['+ systematics']:.0f} K where they are in "
            "the model"
        )
        return conclusion, "not shown", evidence
    error = scatter_and_bias(floats(real, "teff")[:, None], floats(real, "teff_hrs")[:, None])[0][0]
    evidence = f"rms of Teff: {error:.0f} K of {len(real)} real, {alone:.0f} K of models with noise alone"
    return conclusion, _yes(error > _MORE * alone), evidence


def _groups(table, simulated):
    """Where the stars outside the grid lie, and whether the paper's groups are most of them."""
    outside = table[(table["flag"] != "I") & np.isfinite(floats(table, "teff"))]
    teff, logg = floats(outside, "teff"), floats(outside, "logg")
    late, high = teff < 15_000, logg > 4.75
    low = (logg < 2) & ~late
    evidence = f"of {len(outside)}: {late.sum()} below 15,000 K, {(high & ~late).sum()} above log g 4.75, "
    evidence += f"{low.sum()} below log g 2"
    if simulated:
        return "not shown", f"{evidence}; simulated stars are drawn so"
    return _yes((late | high | low).sum() > len(outside) / 2), evidence


def _above(common, label, simulated):
    """Whether MRS finds more than LRS for most of the stars of Fig. 9."""
    bright = common[(common["snr_lrs"] > 100) & (common["snr_mrs"] > 100)]
    inside = bright[(bright["flag_lrs"] == "I") & (bright["flag_mrs"] == "I")]
    conclusion = f"{label} of MRS lies mostly above that of LRS (Fig. 9)"
    if not len(inside):
        return conclusion, "not shown", "no star at SNR > 100 inside the grid in both"
    share = float(np.mean(floats(inside, f"{label}_mrs") > floats(inside, f"{label}_lrs")))
    evidence = f"{share:.0%} of {len(inside)} {'simulated ' if simulated else ''}stars"
    return conclusion, "not shown" if simulated else _yes(share > 0.5), evidence


def _slow(hrs):
    """Whether v sin i of MRS is a little below that of high resolution, where it is measured."""
    some = hrs[(hrs["instrument"] == "MRS") & comparable(hrs, "vsini")]
    real = some[some["origin"] == REAL]
    shown = real if len(real) else some
    conclusion = "v sin i of MRS is slightly low against high resolution (Fig. 8)"
    if not len(shown):
        return conclusion, "not shown", "no star with a measured v sin i"
    off = float(np.median(floats(shown, "vsini") - floats(shown, "vsini_hrs")))
    evidence = f"median {off:+.1f} km/s of {len(shown)} {'real' if len(real) else 'simulated'} stars"
    return conclusion, _yes(off < 0) if len(real) else "not shown", evidence


def _at(table, instrument, label, snr):
    return table[(table["instrument"] == instrument) & (table["label"] == label) & (table["snr"] == snr)]


def _number(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _yes(holds):
    return "yes" if holds else "no"
