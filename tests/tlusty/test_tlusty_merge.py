"""TLUSTY's two grids: merged by the stated rule, reported in full, written whole."""

import numpy as np
import pytest
from tlusty_files import files_of, flux_of, reason_of, write_plain

from slamlib.errors import InputError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty import read as tlusty
from slamlib.grid.tlusty.merge import Model
from slamlib.grid.tlusty.read import NODES, normalised_means
from slamlib.io import read_ecsv, write_ecsv


def test_where_both_grids_have_models_bstar2006_is_taken(tmp_path, content, build):
    report, path = build(write_plain(tmp_path / "raw", content))
    made = ModelGrid.read(path)
    assert sorted(made.columns) == [29000, 30000, 32500]
    for row, node in enumerate(made.nodes):
        hot = node["teff"] > 30000
        letter = {0.0: "G", -0.30103: "L"}[float(node["mh"])]
        composition, vturb = (letter, 10) if hot else (f"B{letter}", 2)
        model = Model(composition, int(node["teff"]), float(node["logg"]), vturb)
        assert (node["source"], node["vturb"]) == (("OSTAR2002", 10) if hot else ("BSTAR2006", 2))
        np.testing.assert_allclose(made.flux[row], flux_of(model), atol=1e-4)
    reason = "BSTAR2006 is taken where both have models (27500-30000 K)"
    assert reason_of(report, "G30000g400v10") == ("found", False, reason)
    assert made.contains([[31000, 3.5, -0.1]])[0]
    between = (flux_of(Model("BG", 30000, 3.0, 2)) + flux_of(Model("G", 32500, 3.0, 10))) / 2
    np.testing.assert_allclose(made.spectra([[31250, 3.0, 0.0]])[0], between, atol=1e-4)


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
    assert reason_of(report, "BZ29000g400v2")[2] == "composition or vturb is not in the table of archives"
    assert reason_of(report, "BG29000g200v10CN")[2] == "its surface composition is altered"
    left_out = ("extra", False, "its (Teff, log g) is not in every composition")
    assert reason_of(report, "BG29000g300v10") == left_out
    lines = str(report).split("\n")
    assert lines[0] == f"{path}: 12 spectra, 6 (Teff, log g) x 2 [M/H] (-0.30, +0.00)"
    assert "  BSTAR2006: 8 found, 807 missing, 2 extra" in lines
    assert "  OSTAR2002: 10 found, 335 missing, 2 extra" in lines
    assert "  not used, 8: BSTAR2006 is taken where both have models (27500-30000 K)" in lines
    assert "  missing of BC, 163: BC15000g175v2, BC15000g200v2, BC15000g225v2, ..." in lines
    write_ecsv(report.table, tmp_path / "report.ecsv")
    assert len(read_ecsv(tmp_path / "report.ecsv")) == len(report.table)


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


@pytest.fixture
def both_speeds(tmp_path, content):
    fast = [Model(f"B{z}", 29000, 3.0, 10) for z in "GL"] + [Model("BG", 29000, 4.0, 10)]
    return write_plain(tmp_path / "raw", content | files_of(fast))


def test_both_microturbulences_make_a_label_which_fades_where_a_star_has_one(both_speeds, build):
    report, path = build(both_speeds)
    made = ModelGrid.read(path)
    assert [label.name for label in made.labels] == ["teff", "logg", "mh", "vsini", "vturb"]
    slow, fast = flux_of(Model("BG", 29000, 3.0, 2)), flux_of(Model("BG", 29000, 3.0, 10))
    stars = [[29000, 3.0, 0.0, vturb] for vturb in (2, 10, 6)]
    np.testing.assert_allclose(made.spectra(stars), [slow, fast, (slow + fast) / 2], atol=1e-4)
    alone = made.spectra([[29000, 4.0, 0.0, 2], [29000, 4.0, 0.0, 10], [32500, 4.0, 0.0, 2]])
    np.testing.assert_array_equal(alone[0], alone[1])
    np.testing.assert_allclose(alone[2], flux_of(Model("G", 32500, 4.0, 10)), atol=1e-4)
    change = np.diff(made.spectra([[29000, 3.5, 0.0, vturb] for vturb in (2, 10)]), axis=0)[0]
    np.testing.assert_allclose(change, (fast - slow) / 2, atol=1e-4)
    assert reason_of(report, "BG29000g300v2")[1] and reason_of(report, "BG29000g300v10")[1]
    # The paper's four labels are those of the grid that is built for 2 km/s.
    plain, paper = made.plain(), ModelGrid.read(build(both_speeds, vturb=2)[1])
    assert plain.names == paper.names == ("teff", "logg", "mh")
    np.testing.assert_array_equal(plain.nodes["vturb"], paper.nodes["vturb"])
    np.testing.assert_array_equal(plain.flux, paper.flux)


def test_higher_microturbulence_is_taken_where_asked_for_and_complete(both_speeds, build):
    folder = both_speeds
    slow, path = build(folder, vturb=2)
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
