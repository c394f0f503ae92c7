"""TLUSTY's official files: read, packed any way, damaged; their two grids merged by the stated rule."""

import gzip
import io
import tarfile
from itertools import pairwise

import numpy as np
import pytest
from astropy.table import Table
from tlusty_files import N_PIX, files_of, flux_of, models, tar_bytes, write_archives, write_plain, zip_bytes

from slamlib.errors import FileError, InputError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty import read as tlusty
from slamlib.grid.tlusty.merge import Model, write_grid
from slamlib.grid.tlusty.read import ARCHIVES, NODES, build_grid, normalised_means, pixel_means, read_columns
from slamlib.io import read_ecsv, write_ecsv

FORTRAN = {"1.234D+05": 1.234e5, "1.234d+05": 1.234e5, "2.58-101": 2.58e-101, "2.-101": 2e-101}
FORTRAN |= {"4.5E-02": 4.5e-2, "-1.5-101": -1.5e-101, "7": 7.0}
OTHER = ("", "\n", "4000.0 ********\n4001.0 1.0\n", "4000.0\n4001.0 1.0\n", "4000.0 1.0 2.0\n")
OTHER += ("4000.0 1.0 2.0\n4001.0\n4002.0\n", "4000.0 NaN\n4001.0 1.0\n")
OTHER += ("<html>404 Not Found</html>\n", "\x1f\x8b\x08\n")
# The embedded grid has [M/H] = -0.5 and 0.3, which no official composition has exactly.
EMBEDDED_MH = {"C": 0.3, "G": 0.0, "L": -0.5, "T": -1.0}


def reason_of(report, name):
    (row,) = report.table[report.table["name"] == name]
    return row["status"], bool(row["used"]), str(row["reason"])


@pytest.mark.parametrize(("text", "value"), FORTRAN.items())
def test_fortran_numbers_are_read(text, value):
    wave, flux = read_columns(f"  4000.0000  {text}\r\n 4.00001D+03 {text}\n\n".encode(), "a.vis.7")
    np.testing.assert_array_equal(wave, [4000.0, 4000.01])
    np.testing.assert_array_equal(flux, [value, value])


@pytest.mark.parametrize("text", OTHER)
def test_what_is_not_two_columns_is_refused_by_name(text):
    with pytest.raises(FileError, match=r"BG1\.vis\.7 is not two columns"):
        read_columns(text.encode("latin1"), "BG1.vis.7")


@pytest.mark.parametrize("seed", range(5))
def test_means_equal_the_trapezoid_over_all_knots_and_edges(seed):
    """On the union of points and edges the function is linear in every piece."""
    rng = np.random.default_rng(seed)
    wave = np.unique(rng.uniform(4000, 4010, 300))
    flux = rng.uniform(0, 2, wave.size)
    edges = np.linspace(wave[0], wave[-1], 50)
    expected = []
    for low, high in pairwise(edges):
        knots = np.unique(np.concatenate([[low, high], wave[(wave > low) & (wave < high)]]))
        expected.append(np.trapezoid(np.interp(knots, wave, flux), knots) / (high - low))
    np.testing.assert_allclose(pixel_means(wave, flux, edges), expected, atol=1e-8)


def test_a_spectrum_divided_by_the_wrong_continuum_is_refused():
    wave = np.linspace(4000, 4010, 50)
    with pytest.raises(FileError, match=r"BG1\.vis\.7: flux over continuum runs from 10 to 10"):
        normalised_means((wave, wave * 10), (wave, wave), wave[[0, 20, -1]], "BG1.vis.7")
    with pytest.raises(FileError, match="no normalised spectrum"):
        normalised_means((wave, wave), (wave, 0 * wave), wave[[0, 20, -1]], "BG1.vis.7")


def test_a_grid_written_as_official_files_and_read_back_is_the_same(grid, tmp_path):
    """Every pixel of the embedded grid, at the two columns where its O and B stars meet."""
    rows = np.isin(grid.nodes["teff"], [30000, 32500]) & np.isin(grid.nodes["logg"], [3.25, 4.5])
    part = ModelGrid(grid.nodes[rows], grid.log_wave0, grid.dv, grid.flux[rows])
    # Tables of compositions and nodes as the embedded grid has them.
    archives = read_ecsv(ARCHIVES)
    archives = archives[[name[-1] in EMBEDDED_MH for name in archives["composition"]]]
    archives = archives[(archives["vturb"] == 2) | (archives["grid"] == "OSTAR2002")]
    archives["mh"] = [EMBEDDED_MH[name[-1]] for name in archives["composition"]]
    plane = sorted(set(part.nodes["teff", "logg"].iterrows()))
    names = ["BSTAR2006_v2_solar" if t <= 30000 else "OSTAR2002_v10" for t, _ in plane]
    nodes = Table({"grid": names, "teff": [int(t) for t, _ in plane], "logg": [g for _, g in plane]})
    tables = {name: tmp_path / f"{name}.ecsv" for name in ("archives", "nodes")}
    write_ecsv(archives, tables["archives"])
    write_ecsv(nodes, tables["nodes"])
    written = write_archives(part, tmp_path / "raw", **tables)
    assert [path.name for path in written[:2]] == ["BCvispec_v2.tar", "BGvispec_v2.tar"]
    report = build_grid(tmp_path / "raw", tmp_path / "back.fits", progress=False, **tables)
    back = ModelGrid.read(tmp_path / "back.fits")
    assert "missing" not in report.table["status"]
    assert (back.log_wave0, back.dv) == (grid.log_wave0, grid.dv)
    for name in ("teff", "logg", "mh", "vturb"):
        np.testing.assert_allclose(back.nodes[name], part.nodes[name], rtol=1e-6)
    np.testing.assert_allclose(back.flux, part.flux, atol=1e-4)
    assert np.ptp(part.flux) > 0.5
    assert set(back.nodes["source"]) == {"BSTAR2006", "OSTAR2002"}


def test_however_packed_the_same_files_give_the_same_bytes(tmp_path, content, build):
    raw = tmp_path / "raw"
    packed = tar_bytes(content, "gz", packed=True)
    packings = {
        "plain": content,
        "gzip": {f"a/b/{name}.gz": gzip.compress(text) for name, text in content.items()},
        "tar": {"all.tar": tar_bytes(content), "readme.txt": b"hello", "._BG1.tar": b"x", ".part.tar": b"y"},
        "tgz": {"deep/er/all.TGZ": packed},
        "nested": {"all.zip": zip_bytes({"x.tar": packed})},
        "tar in tar": {"all.tar": tar_bytes({"x.tar.gz": packed, "y.txt": b"note"})},
    }
    made = {}
    for name, packing in packings.items():
        folder = raw / name
        for file, text in packing.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(text)
        before = sorted(folder.rglob("*"))
        _, path = build(folder)
        assert sorted(folder.rglob("*")) == before, "nothing is unpacked to disk"
        made[name] = path.read_bytes()
    assert set(made.values()) == {made["plain"]}


def between_members(whole):
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        return whole[: tar.getmembers()[6].offset]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("BG.tar", lambda tar: b""),
        ("BG.tar", lambda tar: tar[: len(tar) // 10]),
        ("BG.tar", lambda tar: tar[: int(0.97 * len(tar))]),
        ("BG.tar", between_members),
        ("BG.tar", lambda tar: b"<html>404 Not Found</html>"),
        ("BG.tar.gz", lambda tar: gzip.compress(tar)[:5000]),
        ("BG.tar.gz", lambda tar: gzip.compress(between_members(tar))),
        ("BG.zip", lambda tar: zip_bytes({"x": tar})[:-30]),
    ],
)
def test_a_truncated_archive_is_named_with_the_remedy(tmp_path, content, build, name, spoil):
    write_plain(tmp_path / "raw", {name: spoil(tar_bytes(content))})
    with pytest.raises(FileError, match=rf"{name} is damaged or cut short .*fetch it again"):
        build(tmp_path / "raw")
    assert not (tmp_path / "grid.fits").exists()


@pytest.mark.parametrize("kind", ["7", "17"])
def test_a_file_cut_short_is_named_with_what_it_covers(tmp_path, content, build, kind):
    name = f"BG29000g300v2.vis.{kind}"
    short = content | {name: content[name][: len(content[name]) // 2]}
    with pytest.raises(FileError, match=r"BG29000g300v2\.vis\.7: its .* covers 39.* wanted; if it was cut"):
        build(write_plain(tmp_path / "raw", short))


@pytest.fixture(scope="module")
def content():
    return files_of(models())


@pytest.fixture
def build(tmp_path):
    """Build a grid of the files in a folder; give the report and the grid's path."""
    reference, nodes = tmp_path / "reference.fits", Table({"teff": [2e4], "logg": [4.0], "mh": [0.0]})
    write_grid(reference, nodes, 4000.0, 4.0, np.ones((1, N_PIX)))

    def run(folder, name="grid.fits", **options):
        path = tmp_path / name
        report = build_grid(folder, path, reference=reference, progress=False, **options)
        return report, path

    return run


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
    assert len(read_ecsv(NODES)) == 69 + 163
    # 8 B and 12 O models were written; OSTAR2002 has no log g = 3 at 32,500 K, of which there are two.
    assert count == {"found": 18, "missing": 5 * 232 - 18, "extra": 5}
    assert reason_of(report, "G32500g300v10") == ("extra", True, "")
    assert reason_of(report, "BZ29000g400v2")[2] == "composition or vturb is not in the table of archives"
    assert reason_of(report, "BG29000g200v10CN")[2] == "its surface composition is altered"
    assert reason_of(report, "BG29000g300v10")[2] == "its (Teff, log g) is not in every composition"
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
    slow, path = build(both_speeds, vturb=2)
    assert set(ModelGrid.read(path).nodes["vturb"][:8]) == {2.0}
    report, path = build(both_speeds, vturb=10)
    made = ModelGrid.read(path)
    speed = {(n["teff"], n["logg"], round(float(n["mh"]), 2)): n["vturb"] for n in made.nodes}
    assert speed[29000, 3.0, 0.0] == speed[29000, 3.0, -0.3] == 10
    assert speed[29000, 4.0, 0.0] == speed[29000, 4.0, -0.3] == 2 and speed[30000, 3.0, 0.0] == 2
    np.testing.assert_allclose(made.flux[1], flux_of(Model("BG", 29000, 3.0, 10)), atol=1e-4)
    assert reason_of(report, "BG29000g300v2") == ("found", False, "another vturb is taken")
    assert reason_of(report, "BG29000g300v10")[1] and len(slow.table) == len(report.table)
    with pytest.raises(InputError, match="vturb=5 km/s is in no archive; use one of 2, 10"):
        build(both_speeds, vturb=5)
