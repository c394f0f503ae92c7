"""TLUSTY's official files: packed any way, damaged, missing, and back again."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from tlusty_files import EMBEDDED_MH, files_of, models, tar_bytes, write_archives, write_plain, zip_bytes

from slamlib.errors import FileError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty.archives import entries
from slamlib.grid.tlusty.read import ARCHIVES, build_grid
from slamlib.io import read_ecsv, write_ecsv

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
    written = write_archives(part, tmp_path / "raw", **tables)
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
    paths = write_archives(part, tmp_path, nodes=nodes)
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
