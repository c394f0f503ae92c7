"""TLUSTY's official files: packed any way, merged by the stated rule, reported in full, and back again."""

import gzip
import io
import math
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from slamlib.errors import FileError, InputError
from slamlib.files import read_ecsv, write_ecsv
from slamlib.synth import tlusty
from slamlib.synth.archives import entries
from slamlib.synth.grid import ModelGrid
from slamlib.synth.merge import MAX_FLUX, Model, write_grid
from slamlib.synth.tlusty import ARCHIVES, NODES, build_grid, normalised_means
from slamlib.synth.tlusty_write import spectrum_files, write_archives

N_PIX = 400
WAVE = 4000 * np.exp(np.arange(N_PIX) * 4.0 / 299792.458)
# The embedded grid has [M/H] = -0.5 and 0.3, which no official composition has exactly.
EMBEDDED_MH = {"C": 0.3, "G": 0.0, "L": -0.5, "T": -1.0}


def flux_of(model):
    """Tell each model from every other: a line whose depth and place depend on its labels."""
    pixel = np.arange(N_PIX)
    depth = (
        0.1 + 0.5 * (model.logg - 3) / 2 + 0.05 * ord(model.composition[-1]) / 80 + 0.1 * (model.vturb > 2)
    )
    centre = 100 + (model.teff - 25000) / 100 + 20 * len(model.composition)
    return 1 - depth * np.exp(-(((pixel - centre) / 4) ** 2))


def models(*, teff_b=(29000, 30000), teff_o=(27500, 30000, 32500), letters="GL", vturb=2):
    found = [Model(f"B{z}", t, g, vturb) for z in letters for t in teff_b for g in (3.0, 4.0)]
    return found + [Model(z, t, g, 10) for z in letters for t in teff_o for g in (3.0, 4.0)]


def files_of(found):
    files = {}
    for model in found:
        files |= spectrum_files(model, WAVE, flux_of(model))
    return files


@pytest.fixture(scope="module")
def content():
    return files_of(models())


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.fits"
    nodes = Table({"teff": [2e4], "logg": [4.0], "mh": [0.0]})
    write_grid(path, nodes, 4000.0, 4.0, np.ones((1, N_PIX)))
    return path


@pytest.fixture
def build(tmp_path, reference):
    """Build a grid of the files in a folder; give the report and the grid's path."""

    def run(folder, name="grid.fits", **options):
        path = tmp_path / name
        report = build_grid(folder, path, reference=reference, progress=False, **options)
        return report, path

    return run


def write_plain(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (folder / name).write_bytes(text)
    return folder


def tar_bytes(content, kind="", folder="BGvispec_v2", packed=False):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}") as tar:
        for name, text in content.items():
            member = tarfile.TarInfo(f"{folder}/{name}{'.gz' if packed else ''}")
            text = gzip.compress(text, 1) if packed else text
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return stream.getvalue()


def zip_bytes(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(f"down/{name}", text)
    return stream.getvalue()


def reason_of(report, name):
    row = report.table[report.table["name"] == name]
    assert len(row) == 1
    return row["status"][0], bool(row["used"][0]), str(row["reason"][0])


# --- round trip


def embedded_tables(tmp_path, grid, teffs):
    """Tables of compositions and nodes as the embedded grid has them."""
    archives = read_ecsv(ARCHIVES)
    archives = archives[[name[-1] in EMBEDDED_MH for name in archives["composition"]]]
    archives = archives[(archives["vturb"] == 2) | (archives["grid"] == "OSTAR2002")]
    archives["mh"] = [EMBEDDED_MH[name[-1]] for name in archives["composition"]]
    plane = sorted({(t, g) for t, g in grid.nodes["teff", "logg"].iterrows() if t in teffs})
    names = ["BSTAR2006_v2_solar" if t <= 30000 else "OSTAR2002_v10" for t, _ in plane]
    nodes = Table({"grid": names, "teff": [int(t) for t, _ in plane], "logg": [g for _, g in plane]})
    write_ecsv(archives, tmp_path / "archives.ecsv")
    write_ecsv(nodes, tmp_path / "nodes.ecsv")
    return {"archives": tmp_path / "archives.ecsv", "nodes": tmp_path / "nodes.ecsv"}


def test_a_grid_written_as_official_files_and_read_back_is_the_same(grid, tmp_path):
    """Every pixel of the embedded grid, at the two columns where its O and B stars meet."""
    rows = np.isin(grid.nodes["teff"], [30000, 32500]) & np.isin(grid.nodes["logg"], [3.25, 4.5])
    part = ModelGrid(grid.nodes[rows], grid.log_wave0, grid.dv, grid.flux[rows])
    tables = embedded_tables(tmp_path, part, (30000, 32500))
    written = write_archives(part, tmp_path / "raw", progress=False, **tables)
    assert [path.name for path in written[:2]] == ["BCvispec_v2.tar", "BGvispec_v2.tar"]
    report = build_grid(tmp_path / "raw", tmp_path / "back.fits", progress=False, **tables)
    back = ModelGrid.read(tmp_path / "back.fits")
    assert report.complete
    assert (back.log_wave0, back.dv) == (grid.log_wave0, grid.dv)
    for name in ("teff", "logg", "mh", "vturb"):
        np.testing.assert_allclose(back.nodes[name], part.nodes[name], rtol=1e-6)
    np.testing.assert_allclose(back.flux, part.flux, atol=1e-4)
    assert np.ptp(part.flux) > 0.5
    assert set(back.nodes["source"]) == {"BSTAR2006", "OSTAR2002"}


def test_written_files_have_the_official_look(content):
    text = content["BG29000g400v2.vis.7"].decode()
    assert "D+0" in text
    assert "-101\n" in text
    assert "E" not in text
    assert content["BG29000g400v2.vis.17"].count(b"\n") < text.count("\n") / 10
    assert content == files_of(models())


def test_archives_hold_gzipped_members_in_the_official_folder(grid, tmp_path):
    nodes = Table({"grid": ["BSTAR2006_v2_solar"], "teff": [20000], "logg": [4.0]})
    part = ModelGrid(grid.nodes, grid.log_wave0, grid.dv, grid.flux[:, :50])
    paths = write_archives(part, tmp_path, nodes=nodes, progress=False)
    assert [path.name for path in paths] == [f"B{z}vispec_v2.tar" for z in "CGLST"]
    with tarfile.open(paths[1]) as tar:
        assert tar.getnames() == [f"BGvispec_v2/BG20000g400v2.vis.{kind}.gz" for kind in ("17", "7")]


# --- archives


def test_however_packed_the_same_files_give_the_same_bytes(tmp_path, content, build):
    raw = tmp_path / "raw"
    packings = {
        "plain": content,
        "gzip": {f"a/b/{name}.gz": gzip.compress(text) for name, text in content.items()},
        "tar": {"all.tar": tar_bytes(content)},
        "packed": {"all.tar": tar_bytes(content, packed=True)},
        "reversed": {"all.tar": tar_bytes(dict(reversed(content.items())))},
        "targz": {"deep/er/all.tar.gz": tar_bytes(content, "gz")},
        "tgz": {"all.TGZ": tar_bytes(content, "gz")},
        "zip": {"all.zip": zip_bytes(content)},
        "nested": {"all.zip": zip_bytes({"x.tar": tar_bytes(content, "gz", packed=True)})},
        "tar in tar": {"all.tar": tar_bytes({"x.tar.gz": tar_bytes(content, "gz"), "y.txt": b"note"})},
        "noise": {
            "all.tar": tar_bytes(content),
            "readme.txt": b"hello",
            "._BG1.tar": b"x",
            ".part.tar": b"y",
        },
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


def test_one_archive_may_be_named_instead_of_a_folder(tmp_path, content, build):
    (tmp_path / "all.tar").write_bytes(tar_bytes(content))
    report, _ = build(tmp_path / "all.tar")
    assert report.table["used"].sum() == 12


def test_a_file_met_twice_is_read_once_and_counted(tmp_path, content, build):
    _, alone = build(write_plain(tmp_path / "one", content), "alone.fits")
    (write_plain(tmp_path / "two", content) / "z.tar").write_bytes(tar_bytes(content))
    report, path = build(tmp_path / "two")
    assert report.repeated == len(content)
    assert f"{len(content)} files were met more than once" in str(report)
    assert path.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize("kind", ["", "gz"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.97, "between members"])
def test_a_truncated_archive_is_named_with_the_remedy(tmp_path, content, build, kind, kept):
    whole = tar_bytes(content, kind)
    path = tmp_path / "raw" / f"BGvispec_v2.tar{'.gz' if kind else ''}"
    if kept == "between members":
        with tarfile.open(fileobj=io.BytesIO(tar_bytes(content))) as tar:
            cut = tar_bytes(content)[: tar.getmembers()[6].offset]
        whole = gzip.compress(cut) if kind else cut
        kept = 1.0
    write_plain(tmp_path / "raw", {path.name: whole[: int(len(whole) * kept)]})
    with pytest.raises(FileError, match=r"BGvispec_v2\.tar.* is damaged or cut short .*fetch it again"):
        build(tmp_path / "raw")
    assert not (tmp_path / "grid.fits").exists()


def test_a_truncated_zip_and_a_page_instead_of_an_archive_are_named(tmp_path, content, build):
    write_plain(tmp_path / "a", {"BG.zip": zip_bytes(content)[:-30]})
    with pytest.raises(FileError, match=r"BG\.zip is damaged"):
        build(tmp_path / "a")
    write_plain(tmp_path / "b", {"BG.tar": b"<html>404 Not Found</html>"})
    with pytest.raises(FileError, match=r"BG\.tar is damaged"):
        build(tmp_path / "b")


@pytest.mark.parametrize("kind", ["7", "17"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_member_is_named(tmp_path, content, build, kind, damage):
    name = f"BG29000g300v2.vis.{kind}"
    packed = bytearray(gzip.compress(content[name], mtime=0))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    else:
        packed[len(packed) // 2] ^= 255
    rest = {other: text for other, text in content.items() if other != name}
    write_plain(tmp_path / "raw", {"all.tar": tar_bytes(rest | {f"{name}.gz": bytes(packed)})})
    with pytest.raises(FileError, match=rf"all\.tar:BGvispec_v2/{name}\.gz is damaged.*fetch it again"):
        build(tmp_path / "raw")


@pytest.mark.parametrize("kind", ["7", "17"])
def test_a_file_cut_short_is_named_with_what_it_covers(tmp_path, content, build, kind):
    name = f"BG29000g300v2.vis.{kind}"
    short = content | {name: content[name][: len(content[name]) // 2]}
    with pytest.raises(FileError, match=r"BG29000g300v2\.vis\.7: its .* covers 39.* wanted; if it was cut"):
        build(write_plain(tmp_path / "raw", short))


def test_a_missing_folder_and_an_empty_one_say_what_to_do(tmp_path, build):
    with pytest.raises(FileError, match=r"no folder .*absent; fetch"):
        build(tmp_path / "absent")
    with pytest.raises(FileError, match=r"no TLUSTY spectra in .*raw; it needs archives such as BC"):
        build(write_plain(tmp_path / "raw", {"readme.txt": b"nothing here"}))


def test_entries_stop_where_the_damage_is_not_before(tmp_path):
    write_plain(tmp_path / "raw", {"a.txt": b"first", "b.tar": b"broken"})
    walk = entries(tmp_path / "raw")
    where, read = next(walk)
    assert (Path(where).name, read()) == ("a.txt", b"first")
    with pytest.raises(FileError, match=r"b\.tar is damaged"):
        next(walk)


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


def test_a_node_that_lacks_a_composition_is_left_out_and_reported(tmp_path, content, build):
    partial = {name: text for name, text in content.items() if not name.startswith("BL29000g300v2")}
    report, path = build(write_plain(tmp_path / "raw", partial))
    made = ModelGrid.read(path)
    assert made.columns[29000] == [4.0]
    made.spectra([[29500, 4.0, -0.2]])
    assert reason_of(report, "BL29000g300v2") == ("missing", False, "no file")
    left_out = ("found", False, "its (Teff, log g) is not in every composition")
    assert reason_of(report, "BG29000g300v2") == left_out
    assert reason_of(report, "BG29000g400v2") == ("found", True, "")


@pytest.mark.parametrize("kind", ["7", "17"])
def test_half_a_pair_is_missing(tmp_path, content, build, kind):
    partial = {name: text for name, text in content.items() if name != f"BG29000g300v2.vis.{kind}"}
    report, _ = build(write_plain(tmp_path / "raw", partial))
    assert reason_of(report, "BG29000g300v2") == ("missing", False, f"its .vis.{kind} is missing")


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


def test_an_unknown_grid_in_the_table_of_archives_is_refused(tmp_path, content, build):
    table = read_ecsv(ARCHIVES)
    table["grid"][0] = "OTHER2020"
    write_ecsv(table, tmp_path / "archives.ecsv")
    with pytest.raises(InputError, match="names 'OTHER2020'"):
        build(write_plain(tmp_path / "raw", content), archives=tmp_path / "archives.ecsv")


def test_the_table_of_archives_has_five_compositions_of_each_grid():
    table = read_ecsv(ARCHIVES)
    solar = {"C": 2, "G": 1, "L": 1 / 2, "S": 1 / 5, "T": 1 / 10}
    for row in table:
        assert row["mh"] == pytest.approx(math.log10(solar[row["composition"][-1]]), abs=1e-5)
        assert row["grid"] == ("BSTAR2006" if row["composition"][0] == "B" else "OSTAR2002")
    rows = {(grid, vturb) for grid, vturb in table["grid", "vturb"].iterrows()}
    assert rows == {("BSTAR2006", 2), ("BSTAR2006", 10), ("OSTAR2002", 10)}
    assert len(table) == len(set(table["archive"])) == 15


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
