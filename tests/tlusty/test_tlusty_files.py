"""TLUSTY's official format: numbers, names, means over pixels; packed any way, damaged, and back again."""

import gzip
import io
import tarfile
from itertools import pairwise

import numpy as np
import pytest
from astropy.table import Table
from tlusty_files import EMBEDDED_MH, tar_bytes, write_archives, write_plain, zip_bytes

from slamlib.errors import FileError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty.read import ARCHIVES, build_grid, normalised_means, pixel_means, read_columns
from slamlib.io import read_ecsv, write_ecsv

FORTRAN = {"1.234D+05": 1.234e5, "1.234d+05": 1.234e5, "2.58-101": 2.58e-101, "2.-101": 2e-101}
FORTRAN |= {"4.5E-02": 4.5e-2, "-1.5-101": -1.5e-101, "7": 7.0}
OTHER = ("", "\n", "4000.0 ********\n4001.0 1.0\n", "4000.0\n4001.0 1.0\n", "4000.0 1.0 2.0\n")
OTHER += ("4000.0 1.0 2.0\n4001.0\n4002.0\n", "4000.0 NaN\n4001.0 1.0\n")
OTHER += ("<html>404 Not Found</html>\n", "\x1f\x8b\x08\n")


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
