"""The command line: ``python -m slamlib.fetch --help``."""

import sys

import numpy as np

from slamlib.errors import InputError, SlamlibError
from slamlib.fetch import catalogues, isochrones, lamost, tlusty
from slamlib.fetch.download import Manners, Report, tell
from slamlib.fetch.manifest import NAME as MANIFEST
from slamlib.fetch.options import ROOT, parser
from slamlib.grid.tlusty.read import build_grid
from slamlib.io import read_ecsv, write_ecsv

_RELEASES = {"LRS": "dr5", "MRS": "dr7"}
# Where the published samples are, once the catalogues have been fetched.
_SAMPLES = {"LRS": "liu2019/table3.ecsv", "MRS": "guo2021/table2.ecsv"}


def main(arguments=None):
    """Run the command line; return the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        `sys.argv[1:]` by default.
    """
    options = parser().parse_args(arguments)
    try:
        if options.command == "isochrones":
            _isochrones(options)
            return 0
        act = {"tlusty": _tlusty, "lamost": _lamost, "catalogues": _catalogues, "all": _all}
        report = act[options.command](options, _manners(options))
        tell(str(report))
        return int(bool(report.failed))
    except SlamlibError as error:
        tell(str(error))
        return 1
    except OSError as error:
        tell(f"cannot go on: {error}")
        return 1
    except KeyboardInterrupt:
        tell("interrupted; what was finished is kept, run the same command to go on")
        return 130


def _manners(options):
    if not options.rate > 0:
        raise InputError(f"rate={options.rate} must be positive")
    return Manners(
        workers=options.workers,
        interval=1 / options.rate,
        attempts=options.attempts,
        backoff=options.backoff,
        longest_wait=options.longest_wait,
        timeout=options.timeout,
    )


def _tlusty(options, manners):
    folder, report, progress = _folder(options, tlusty.FOLDER), Report(), not options.quiet
    if not options.build_only:
        selection = {
            "base": options.base_tlusty,
            "compositions": options.composition,
            "vturb": options.vturb,
        }
        report = tlusty.fetch(options.archives, folder, manners, say=tell, progress=progress, **selection)
        if options.build and report.failed:
            report.fail("grid", "not made, archives are missing; --build-only makes it of those there", tell)
    if options.build_only or (options.build and not report.failed):
        try:
            made = build_grid(
                folder, options.output, vturb=options.vturb or 2, archives=options.archives, progress=progress
            )
            print(made)
            report.fetched.append(options.output)
        except SlamlibError as error:
            report.fail("grid", error, tell)
    return report


def _lamost(options, manners):
    return _spectra(options, manners, options.wanted, options.instrument)


def _spectra(options, manners, wanted, instrument):
    return lamost.fetch(
        wanted,
        options.releases,
        options.release or _RELEASES[instrument],
        instrument,
        _folder(options, lamost.FOLDERS[instrument]),
        manners,
        base=options.base_lamost,
        say=tell,
        progress=not options.quiet,
    )


def _catalogues(options, manners):
    folder, listed = _folder(options, catalogues.FOLDER), read_ecsv(options.catalogues)
    report = catalogues.fetch(
        listed, folder, manners, names=options.names, server=options.base_vizier, say=tell
    )
    labels, columns = read_ecsv(options.labels), read_ecsv(options.columns)
    for row in listed:
        ours = labels[labels["reference"] == row["reference"]]
        tables = sorted(set((folder / row["name"]).glob("*.ecsv")) - {folder / row["name"] / MANIFEST})
        if not len(ours) or not tables:
            continue
        try:
            theirs = catalogues.read_first(tables, columns, row["name"])
            found = catalogues.check_hrs_labels(ours, theirs)
        except SlamlibError as error:
            report.fail(f"check of {options.labels.name}", error, tell)
            continue
        output = folder / f"differences_{row['name']}.ecsv"
        write_ecsv(found, output)
        print(f"{row['reference']}: {len(ours)} stars checked, {len(found)} differences, see {output}")
        for line in found:
            there = "not there" if np.isnan(line["theirs"]) else f"{line['theirs']:g} there"
            print(f"  {line['star']}: {line['label']} {line['ours']:g} here, {there}")
    return report


def _isochrones(options):
    table = isochrones.convert(options.export, options.output)
    ages = sorted({f"{age:.2f}" for age in table["log_age"]})
    print(f"{options.output}: {len(table)} rows, log age {', '.join(ages)}")


def _all(options, manners):
    """Fetch everything; what fails in one kind does not keep the others from coming."""
    report = _attempt("catalogues", _catalogues, options, manners)
    if options.wanted:
        report += _attempt("LAMOST", _lamost, options, manners)
    else:
        for instrument, name in _SAMPLES.items():
            sample = _folder(options, catalogues.FOLDER) / name
            report += _attempt(f"LAMOST {instrument}", _spectra, options, manners, [sample], instrument)
    return report + _attempt("TLUSTY", _tlusty, options, manners)


def _attempt(what, act, *arguments):
    try:
        return act(*arguments)
    except SlamlibError as error:
        report = Report()
        report.fail(what, error, tell)
        return report


def _folder(options, default):
    """Where a kind of data goes: `--to`, which for `all` is the place of the usual folders."""
    if options.to is None:
        return ROOT / default
    return options.to / default.name if options.command == "all" else options.to


if __name__ == "__main__":
    sys.exit(main())
