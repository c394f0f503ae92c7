"""TLUSTY's two grids: merged by the stated rule, reported in full, written whole."""

import os

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from tlusty_files import N_PIX, files_of, flux_of, models, reason_of, write_plain

from slamlib.errors import InputError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty import read as tlusty
from slamlib.grid.tlusty.merge import MAX_FLUX, Model, write_grid
from slamlib.grid.tlusty.read import NODES, normalised_means
from slamlib.io import read_ecsv, write_ecsv

# --- merging


def test_where_both_grids_have_models_bstar2006_is_taken(tmp_path, content, build):
    report, path = build(write_plain(tmp_path / "raw", content))
    made = ModelGrid.read(path)
    assert sorted(made.columns) == [29000, 30000, 32500]
    for row, node in enumerate(made.nodes):
        hot = node["teff"] > 30000
        letter = {0.0: "G", -0.30103: "L"}[float(node["mh"])]
        model = Model(
            letter if hot else f"B{letter}", int(node["teff"]), float(node["logg"]), 10 if hot else 2
        )
        assert (node["source"], node["vturb"]) == (("OSTAR2002", 10) if hot else ("BSTAR2006", 2))
        np.testing.assert_allclose(made.flux[row], flux_of(model), atol=1e-4)
    assert reason_of(report, "G30000g400v10") == (
        "found",
        False,
        "BSTAR2006 is taken where both have models (27500-30000 K)",
    )
    assert made.contains([[31000, 3.5, -0.1]])[0]
    np.testing.assert_allclose(
        made.spectra([[31250, 3.0, 0.0]])[0],
        (flux_of(Model("BG", 30000, 3.0, 2)) + flux_of(Model("G", 32500, 3.0, 10))) / 2,
        atol=1e-4,
    )


@pytest.mark.parametrize("kind", ["7", "17"])
def test_a_node_that_lacks_a_composition_is_left_out_and_reported(tmp_path, content, build, kind):
    # Without its continuum a spectrum is of no use.
    partial = {name: text for name, text in content.items() if name != f"BL29000g300v2.vis.{kind}"}
    report, path = build(write_plain(tmp_path / "raw", partial))
    made = ModelGrid.read(path)
    assert made.columns[29000] == [4.0]
    made.spectra([[29500, 4.0, -0.2]])
    assert reason_of(report, "BL29000g300v2") == ("missing", False, f"its .vis.{kind} is missing")
    left_out = ("found", False, "its (Teff, log g) is not in every composition")
    assert reason_of(report, "BG29000g300v2") == left_out
    assert reason_of(report, "BG29000g400v2") == ("found", True, "")


def test_the_report_lists_found_missing_and_extra(tmp_path, content, build):
    extra = [Model("BZ", 29000, 4.0, 2), Model("BG", 29000, 2.0, 10, "CN"), Model("BG", 29000, 3.0, 10)]
    report, path = build(write_plain(tmp_path / "raw", content | files_of(extra)))
    count = {word: int((report.table["status"] == word).sum()) for word in ("found", "missing", "extra")}
    nodes = read_ecsv(NODES)
    assert len(nodes) == 69 + 163
    # 8 B and 12 O models were written; OSTAR2002 has no log g = 3 at 32,500 K, of which there are two.
    assert count == {"found": 18, "missing": 5 * 232 - 18, "extra": 5}
    assert reason_of(report, "G32500g300v10") == ("extra", True, "")
    assert not report.complete
    assert reason_of(report, "BZ29000g400v2")[2] == "composition or vturb is not in the table of archives"
    assert reason_of(report, "BG29000g200v10CN")[2] == "its surface composition is altered"
    assert reason_of(report, "BG29000g300v10") == ("extra", False, "vturb 10 km/s is not asked for")
    lines = str(report).split("\n")
    assert lines[0] == f"{path}: 12 spectra, 6 (Teff, log g) x 2 [M/H] (-0.30, +0.00)"
    assert "  BSTAR2006: 8 found, 807 missing, 2 extra" in lines
    assert "  OSTAR2002: 10 found, 335 missing, 2 extra" in lines
    assert "  not used, 8: BSTAR2006 is taken where both have models (27500-30000 K)" in lines
    assert "  missing of BC, 163: BC15000g175v2, BC15000g200v2, BC15000g225v2, ..." in lines
    write_ecsv(report.table, tmp_path / "report.ecsv")
    assert len(read_ecsv(tmp_path / "report.ecsv")) == len(report.table)


def test_a_composition_that_one_grid_lacks_is_left_out_of_both(tmp_path, content, build):
    report, path = build(write_plain(tmp_path / "raw", content | files_of(models(letters="T", teff_b=()))))
    np.testing.assert_allclose(ModelGrid.read(path).mh_values, [-0.30103, 0.0])
    assert reason_of(report, "T32500g400v10") == ("found", False, "[M/H] = -1.00 is not in every grid")


def test_one_of_the_two_grids_is_a_grid(tmp_path, build):
    build(write_plain(tmp_path / "b", files_of(models(teff_o=()))), "b.fits")
    assert sorted(ModelGrid.read(tmp_path / "b.fits").columns) == [29000, 30000]
    build(write_plain(tmp_path / "o", files_of(models(teff_b=()))), "o.fits")
    assert sorted(ModelGrid.read(tmp_path / "o.fits").columns) == [27500, 30000, 32500]


@pytest.mark.parametrize(
    "few", [{"letters": "G"}, {"teff_b": (29000,), "teff_o": ()}, {"vturb": 10, "teff_o": ()}]
)
def test_too_few_models_make_no_grid(tmp_path, build, few):
    with pytest.raises(InputError, match=r"make no grid.*add the missing archives"):
        build(write_plain(tmp_path / "raw", files_of(models(**few))))


def test_higher_microturbulence_is_taken_where_asked_for_and_complete(tmp_path, content, build):
    fast = [Model(f"B{z}", 29000, 3.0, 10) for z in "GL"] + [Model("BG", 29000, 4.0, 10)]
    folder = write_plain(tmp_path / "raw", content | files_of(fast))
    slow, path = build(folder)
    assert set(ModelGrid.read(path).nodes["vturb"][:8]) == {2.0}
    report, path = build(folder, vturb=10)
    made = ModelGrid.read(path)
    speed = {(n["teff"], n["logg"], round(float(n["mh"]), 2)): n["vturb"] for n in made.nodes}
    assert speed[29000, 3.0, 0.0] == speed[29000, 3.0, -0.3] == 10
    assert speed[29000, 4.0, 0.0] == speed[29000, 4.0, -0.3] == 2
    assert speed[30000, 3.0, 0.0] == 2
    np.testing.assert_allclose(made.flux[1], flux_of(Model("BG", 29000, 3.0, 10)), atol=1e-4)
    assert reason_of(report, "BG29000g300v10") == ("extra", True, "")
    assert reason_of(report, "BG29000g300v2") == ("found", False, "another vturb is taken")
    assert len(slow.table) == len(report.table)
    with pytest.raises(InputError, match="vturb=5 km/s is in no archive; use one of 2, 10"):
        build(folder, vturb=5)


# --- the file


def test_the_header_says_where_the_spectra_came_from(tmp_path, content, build):
    folder = write_plain(tmp_path / "raw", content)
    _, path = build(folder, date="2021-10-01")
    header = fits.getheader(path)
    assert (header["DATE"], header["NFILES"], header["VTURB"]) == ("2021-10-01", 24, 2)
    assert header["AIRORVAC"] == "air"
    assert "BSTAR2006 is taken where both have models" in str(header["HISTORY"])
    _, undated = build(folder, "undated.fits")
    assert "DATE" not in fits.getheader(undated)
    changed = content | {"BG29000g400v2.vis.17": content["BG29000g400v2.vis.17"] + b"4400.0 1.0D+00\n"}
    _, other = build(write_plain(tmp_path / "changed", changed), "other.fits")
    assert fits.getheader(other)["INPUTSHA"] != header["INPUTSHA"] == fits.getheader(undated)["INPUTSHA"]


@pytest.mark.parametrize(("largest", "scale", "error"), [(1.0, 30000, 1.7e-5), (2.5, 10000, 5.1e-5)])
def test_emission_is_kept_to_a_ten_thousandth(tmp_path, largest, scale, error):
    flux = np.random.default_rng(0).uniform(0, largest, (4, 500))
    flux[0, 0] = largest
    nodes = Table({"teff": [2e4, 2e4, 3e4, 3e4], "logg": [4.0] * 4, "mh": [0.0, 1.0] * 2})
    write_grid(tmp_path / "a.fits", nodes, 4000.0, 4.0, flux)
    assert fits.getheader(tmp_path / "a.fits")["FSCALE"] == scale
    np.testing.assert_allclose(ModelGrid.read(tmp_path / "a.fits").flux, flux, atol=error)


def test_the_same_grid_again_keeps_its_date_and_another_does_not(tmp_path):
    nodes, path = Table({"teff": [2e4], "logg": [4.0], "mh": [0.0]}), tmp_path / "a.fits"
    dates = []
    for flux in (1.0, 1.0, 0.5):
        write_grid(path, nodes, 4000.0, 4.0, np.full((1, N_PIX), flux))
        dates.append(path.stat().st_mtime)
        os.utime(path, (1e9, 1e9))
    assert dates[0] != 1e9
    assert dates[1] == 1e9
    assert dates[2] != 1e9


@pytest.mark.parametrize("wrong", [-0.01, MAX_FLUX * 1.01, np.nan])
def test_flux_that_cannot_be_kept_is_refused(tmp_path, wrong):
    nodes = Table({"teff": [2e4], "logg": [4.0], "mh": [0.0]})
    with pytest.raises(InputError, match="cannot be stored"):
        write_grid(tmp_path / "a.fits", nodes, 4000.0, 4.0, np.array([[1.0, wrong]]))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_leaves_the_old_grid_and_can_be_repeated(tmp_path, content, build, monkeypatch):
    folder = write_plain(tmp_path / "raw", content)
    _, path = build(folder, date="the first")
    first = path.read_bytes()
    calls = []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return normalised_means(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(tlusty, "normalised_means", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(folder, date="the second")
    assert path.read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grid.fits", "raw", "reference.fits"]
    build(folder, date="the first")
    assert path.read_bytes() == first
