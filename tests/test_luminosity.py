"""Mass, age and luminosity: against eclipsing binaries, a star of known distance, and stars put together."""

import sys
import types

import numpy as np
import pytest
from astropy.table import Table, vstack

from compendium.parallaxes import pulls_of_the_prior
from slamlib.cli.main import main
from slamlib.errors import InputError
from slamlib.io import embedded, read_ecsv
from slamlib.labelling import luminosity
from slamlib.labelling.evolution import Evolution
from slamlib.labelling.luminosity import luminosities, unreddened

ERRORS = [[200.0, 0.05, 0.1]]


@pytest.fixture(scope="module")
def evolution():
    return Evolution()


def eclipsing_binaries(teff, logg, mh):
    """Log mass and log luminosity by Torres, Andersen & Gimenez 2010 (A&ARv 18, 67, equations 1 and 2)."""
    x = np.log10(teff) - 4.1
    terms = [1, x, x**2, x**3, logg**2, logg**3, mh]
    mass = np.dot([1.5689, 1.3787, 0.4243, 1.139, -0.1425, 0.01969, 0.1010], terms)
    radius = np.dot([2.4427, 0.6679, 0.1771, 0.705, -0.21415, 0.02306, 0.04173], terms)
    return mass, 2 * radius + 4 * np.log10(teff / 5772)


@pytest.mark.parametrize("logg", [4.1, 3.9, 3.7])
@pytest.mark.parametrize("teff", [15000, 18000, 22000, 26000])
def test_b_stars_have_the_masses_of_eclipsing_binaries(evolution, teff, logg):
    mean, error = evolution.estimate([[teff, logg, 0.0]], ERRORS)
    mass, log_l = eclipsing_binaries(teff, logg, 0.0)
    # The relation scatters by 6% in mass and 3% in radius.
    assert abs(mean[0, 0] - mass) < 2 * np.hypot(error[0, 0], 0.027)
    assert abs(mean[0, 2] - log_l) < 0.1 and (error[0] < [0.1, 0.3, 0.15]).all()


def test_a_star_on_an_isochrone_has_its_age_and_mass(evolution):
    isochrones = read_ecsv(embedded("parsec_isochrones.ecsv"))
    on = (isochrones["log_age"] == 7) & (isochrones["mh"] == 0) & (isochrones["phase"] == 1)
    for star in isochrones[on & (isochrones["initial_mass"] > 12)][::5]:
        labels = [[10 ** star["log_teff"], star["logg"], 0.0]]
        mean, error = evolution.estimate(labels, [[100.0, 0.02, 0.1]])
        told = [np.log10(star["initial_mass"]), 7.0, star["log_l"]]
        assert (np.abs(mean[0] - told) < 2 * error[0] + [0.02, 0.1, 0.02]).all()


def test_remnants_at_the_end_of_an_isochrone_change_nothing(evolution):
    isochrones = read_ecsv(embedded("parsec_isochrones.ecsv"))
    old = isochrones["log_age"] == 8
    remnants = vstack([isochrones[old & (isochrones["mh"] == mh)][-1:] for mh in (-1, 0)])
    remnants["log_teff"], remnants["logg"], remnants["phase"] = 5.0, 7.5, 9
    star = [[15_000.0, 4.0, 0.0]], ERRORS
    ours = Evolution(vstack([isochrones, remnants])).estimate(*star)
    np.testing.assert_array_equal(ours, evolution.estimate(*star))


def test_luminosities_of_stars_of_the_prior_are_unbiased_and_their_errors_hold():
    pulls = pulls_of_the_prior(4_000, 0.015, 0.05, 13_000, np.random.default_rng(7))
    assert pulls.size > 500 and np.isfinite(pulls).mean() > 0.99
    # Four standard errors.
    assert np.nanmean(pulls) == pytest.approx(0, abs=0.15)
    assert np.nanstd(pulls) == pytest.approx(1, abs=0.1)


def test_no_isochrone_no_mass(evolution):
    labels = [[25000, 5.7, 0], [10000, 3.6, 0], [np.nan, 4, 0], [20000, 4, 0]]
    mean, _ = evolution.estimate(labels, ERRORS * 4)
    np.testing.assert_array_equal(np.isfinite(mean).all(axis=1), [False, False, False, True])


def test_isochrones_that_do_not_serve_are_refused():
    isochrones = read_ecsv(embedded("parsec_isochrones.ecsv"))
    with pytest.raises(InputError, match="2 ages; at least three"):
        Evolution(isochrones[isochrones["log_age"] < 8])
    with pytest.raises(InputError, match=r"no isochrone of \[M/H\] -1 and log age 6"):
        Evolution(isochrones[(isochrones["log_age"] > 6) | (isochrones["mh"] > -1)])
    with pytest.raises(InputError, match="lack log_l"):
        Evolution(isochrones["mh", "log_age", "initial_mass", "log_teff", "logg"])


def put_together(n, twins, rng):
    """Labels of stars and their entries in Gaia; `twins` have a second star of the same light."""
    evolution = Evolution()
    teff, logg = rng.uniform(16000, 24000, n), rng.uniform(3.7, 4.1, n)
    errors = np.tile(ERRORS, (n, 1))
    mean, _ = evolution.estimate(np.stack([teff, logg, np.zeros(n)], axis=1), errors)
    distance, reddening = rng.uniform(200, 900, n), rng.uniform(0, 0.8, n)
    correction, colour = unreddened(teff)
    magnitude = 4.74 - 2.5 * mean[:, 2] - correction + 5 * np.log10(distance / 10) + 1.89 * reddening
    places = {"ra": 10 + 0.1 * np.arange(n), "dec": np.zeros(n)}
    labels = Table({"file": [f"{i}.fits" for i in range(n)], **places})
    for name, values, error in zip(("teff", "logg", "mh"), (teff, logg, np.zeros(n)), ERRORS[0], strict=True):
        labels[name], labels[f"e_{name}"] = values, error
    gaia = Table({"ra": labels["ra"] + 0.5 / 3600, "dec": labels["dec"], "source_id": np.arange(1, n + 1)})
    gaia["parallax"] = 1000 / distance - 0.017 + rng.normal(0, 0.02, n)
    gaia["parallax_error"], gaia["bp_rp"] = 0.02, colour + reddening
    gaia["phot_g_mean_mag"] = magnitude - 2.5 * np.log10(1 + twins)
    return labels, gaia, distance


def test_stars_put_together_come_back_and_companions_stand_out():
    rng = np.random.default_rng(4)
    twins = np.arange(60) % 2
    labels, gaia, distance = put_together(60, twins, rng)
    found = luminosities(labels, gaia[rng.permutation(60)])
    np.testing.assert_array_equal(found["source_id"], np.arange(1, 61))
    single = twins == 0
    np.testing.assert_allclose(found["distance"][single], distance[single], rtol=0.02)
    np.testing.assert_allclose(found["log_l_plx"] - found["log_l"], 0.30 * twins, atol=0.12)
    assert (found["company"][single] == "").all()
    assert np.median(found["tension"][~single]) > 2
    # Half as far and four times as faint: no single star.
    gaia["parallax"] *= 3
    faint = luminosities(labels, gaia)
    assert (faint["company"][single] == "too faint").all()


def test_what_gaia_does_not_have_is_nan():
    labels, gaia, _ = put_together(5, np.zeros(5), np.random.default_rng(1))
    gaia["ra"][[0, 4]] += [0.01, np.nan]
    gaia["parallax"][1] = 0.02
    labels["ra"][2] = np.nan
    found = luminosities(labels, gaia)
    np.testing.assert_array_equal(found["source_id"], [0, 2, 0, 4, 0])
    assert np.isnan(found["log_l_plx"][:3]).all() and np.isfinite(found["mass"]).all()
    assert list(found["company"][:3]) == ["", "", ""]
    # Of its own table it replaces what it adds.
    assert sorted(luminosities(found, gaia).colnames) == sorted(found.colnames)
    # Its distance needs magnitude and colour alone.
    assert np.isfinite(found["distance"][1])


# Teff, M_V and log L of B5V, B2V, B1V and O9V in the table of Pecaut & Mamajek, version of 2024.05.15.
@pytest.mark.parametrize(
    ("teff", "m_v", "log_l"),
    [(15700, -0.85, 2.772), (20600, -1.80, 3.428), (26000, -3.00, 4.128), (33300, -4.20, 4.820)],
)
def test_dwarfs_have_the_luminosities_that_are_published(teff, m_v, log_l):
    labels = Table({"ra": [1.0], "dec": [2.0], "teff": [float(teff)], "logg": [4.1], "mh": [0.0]})
    labels["e_teff"], labels["e_logg"], labels["e_mh"] = ERRORS[0]
    excess, distance = 0.4, 500.0
    magnitude = m_v + 0.01 + 5 * np.log10(distance / 10) + 1.89 * excess
    row = {"Source": [1], "RA_ICRS": [1.0], "DE_ICRS": [2.0], "Plx": [2.0 - 0.017], "e_Plx": [0.02]}
    gaia = Table({**row, "Gmag": [magnitude], "BP-RP": [unreddened(teff)[1] + excess]})
    found = luminosities(labels, gaia)[0]
    assert found["log_l_plx"] == pytest.approx(log_l, abs=0.01)
    assert found["a_g"] == pytest.approx(1.89 * excess)


def test_the_command_writes_the_table_and_tables_without_the_columns_are_refused(tmp_path, capsys):
    labels, gaia, _ = put_together(3, np.zeros(3), np.random.default_rng(2))
    labels.write(tmp_path / "labels.ecsv")
    gaia.write(tmp_path / "gaia.fits")
    arguments = ["luminosity", str(tmp_path / "labels.ecsv"), "--gaia", str(tmp_path / "gaia.fits")]
    assert main([*arguments, "-o", str(tmp_path / "out.ecsv")]) == 0
    assert capsys.readouterr().out == "3 of 3 stars are in Gaia, 0 too bright, 0 too faint\n"
    assert read_ecsv(tmp_path / "out.ecsv")["mass"].unit == "solMass"
    gaia["parallax"].name = "plx"
    gaia.write(tmp_path / "gaia.fits", overwrite=True)
    assert main([*arguments, "-o", str(tmp_path / "out.ecsv")]) == 1
    assert "the Gaia table lacks parallax or Plx" in capsys.readouterr().err
    with pytest.raises(InputError, match="the labels lack logg"):
        labels.remove_column("logg")
        luminosities(labels, gaia)


def test_the_cross_match_service_is_asked_for_what_no_file_gives(monkeypatch):
    labels, gaia, _ = put_together(3, np.zeros(3), np.random.default_rng(2))
    monkeypatch.setitem(sys.modules, "astroquery", None)
    with pytest.raises(InputError, match="astroquery is not installed"):
        luminosity.fetch_gaia(labels)
    asked = []

    def query(**arguments):
        asked.append(arguments)
        if len(asked) > 1:
            raise ConnectionError("no route")
        return gaia

    service = types.ModuleType("astroquery.xmatch")
    service.XMatch = types.SimpleNamespace(query=query)
    monkeypatch.setitem(sys.modules, "astroquery", types.ModuleType("astroquery"))
    monkeypatch.setitem(sys.modules, "astroquery.xmatch", service)
    assert luminosity.fetch_gaia(labels) is gaia
    assert asked[0]["cat1"].colnames == ["our_ra", "our_dec"]
    assert asked[0]["cat2"] == "vizier:I/355/gaiadr3"
    with pytest.raises(InputError, match="no cross-match"):
        luminosity.fetch_gaia(labels)
    with pytest.raises(InputError, match="the labels lack ra, dec"):
        luminosity.fetch_gaia(labels["teff", "logg"])
