"""slamlib fetch: the official grids, LAMOST spectra and catalogues."""

from pathlib import Path

from slamlib.cli.options import USED_ALL, USED_NONE, add_command
from slamlib.errors import InputError, SlamlibError
from slamlib.fetch.policy import RequestPolicy

_RELEASES = {"LRS": "dr5", "MRS": "dr7"}
# Where the published samples are, once the catalogues have been fetched.
_SAMPLES = {"LRS": "liu2019/table3.ecsv", "MRS": "guo2021/table2.ecsv"}
_EPILOG = """\
files, in data/raw of the working directory or where --to says:
  tlusty/                    archives of OSTAR2002 and BSTAR2006 spectra
  tlusty_grid.fits           the model grid made of them
  lamost_lrs/, lamost_mrs/   spectra, named RELEASE-OBSID.fits.gz
  catalogues/                one folder a catalogue, one ECSV file a table
  The manifest.ecsv of a folder lists what arrived whole. partial/ holds files that are not
  whole yet: run the same command again and they are taken up where they end. rejected/
  holds what arrived but is not what was asked for. Addresses are in tables of the package;
  put an edited copy into the folder that --tables names.

environment:
  LAMOST_TOKEN  your LAMOST token; without it the first line of ~/.config/slamlib/token

exit status:
  0 if everything is there, 1 if anything failed, 2 on wrong usage, 130 if interrupted

examples:
  slamlib fetch tlusty --build
  slamlib fetch catalogues guo2021 liu2019
  slamlib fetch lamost data/raw/catalogues/liu2019/table3.ecsv
  slamlib fetch lamost --instrument MRS --release dr11 684408119 624715119
"""


def add_parser(commands):
    """Add the subcommand and its own."""
    text = "Fetch the official data: TLUSTY grids, LAMOST spectra, catalogues."
    about = "official grids, spectra, catalogues"
    fetch = add_command(commands, "fetch", run, about, text, _EPILOG)
    kinds = fetch.add_subparsers(dest="kind", metavar="KIND", required=True, title="kinds of data")
    made = {}
    for kind, act, text, groups in (
        ("tlusty", _tlusty, "OSTAR2002 and BSTAR2006, and the model grid made of them", (_add_tlusty,)),
        ("lamost", _lamost, "LAMOST spectra by OBSID", (_add_lamost,)),
        ("catalogues", _catalogues, "VizieR's catalogues, set beside our labels", (_add_vizier,)),
        ("all", _all, "all of these", (_add_tlusty, _add_lamost, _add_vizier)),
        ("isochrones", None, "convert a file exported from the CMD web form of PARSEC", ()),
    ):
        parser = made[kind] = kinds.add_parser(kind, help=text, description=f"{text[0].upper()}{text[1:]}.")
        parser.set_defaults(run=run if act else _isochrones, act=act, names=[])
        text = "where the files go; default %(default)s"
        parser.add_argument("--to", type=Path, default=Path("data/raw"), metavar="FOLDER", help=text)
        for group in (*groups, *([_add_policy] if act else [])):
            group(parser)
    text = "OBSIDs, or tables with a column obsid"
    made["lamost"].add_argument("wanted", nargs="+", metavar="OBSID|TABLE", help=text)
    text += "; by default the stars of Liu et al. (2019) and Guo et al. (2021)"
    made["all"].add_argument("wanted", nargs="*", metavar="OBSID|TABLE", help=text)
    text = "such as guo2021; all but the large ones by default"
    made["catalogues"].add_argument("names", nargs="*", metavar="NAME", help=text)
    text = "as stev.oapd.inaf.it/cgi-bin/cmd gave it"
    made["isochrones"].add_argument("export", type=Path, metavar="FILE", help=text)


def _add_tlusty(parser):
    group = parser.add_argument_group("TLUSTY grids")
    group.add_argument("--base-tlusty", metavar="URL", help="of a mirror: folder of the archives")
    group.add_argument("--composition", nargs="+", default=[], metavar="XY", help="such as BG G; default all")
    group.add_argument("--vturb", type=int, metavar="KM/S", help="of the B stars, 2 or 10; default both")
    group.add_argument("--build", action="store_true", help="then make the model grid")
    text = "make it of archives or folders got by other means"
    group.add_argument("--build-only", action="store_true", help=text)


def _add_lamost(parser):
    group = parser.add_argument_group("LAMOST spectra")
    group.add_argument("--base-lamost", metavar="URL", help="instead of the release's own; patterns stay")
    group.add_argument("--release", help="dr5 to dr12; default dr5 for LRS, dr7 for MRS")
    group.add_argument("--instrument", choices=("LRS", "MRS"), default="LRS", help="default %(default)s")
    text = "send your token over http too, where others can read it"
    group.add_argument("--token-over-http", action="store_true", help=text)


def _add_vizier(parser):
    group = parser.add_argument_group("catalogues")
    group.add_argument("--base-vizier", metavar="URL", help="a VizieR server")


def _add_policy(parser):
    group = parser.add_argument_group("requests")
    text = "of edited tables of addresses, such as lamost_releases.ecsv"
    group.add_argument("--tables", type=Path, metavar="FOLDER", help=text)
    for name, kind, unit, text in (
        ("workers", int, "N", "files at a time"),
        ("rate", float, "R", "requests a second"),
        ("attempts", int, "N", "tries of each file"),
        ("backoff", float, "S", "wait before the second try [s], doubled for each further one"),
        ("longest_wait", float, "S", "give up a server that asks for a longer wait [s]"),
        ("timeout", float, "S", "longest silence of a server [s]"),
    ):
        default = 1 / RequestPolicy.interval if name == "rate" else getattr(RequestPolicy, name)
        option, text = f"--{name.replace('_', '-')}", f"{text}; default {default:g}"
        group.add_argument(option, type=kind, default=default, metavar=unit, help=text)
    group.add_argument("--quiet", action="store_true", help="no progress bars")


def run(options, tell):
    """Fetch one kind of data, or all; return the exit status."""
    try:
        from slamlib.fetch.download import tell as show  # lines that leave progress bars whole

        report = options.act(options, show)
    except ModuleNotFoundError as error:
        if error.name not in ("requests", "urllib3"):
            raise
        raise InputError(f"{error.name} is not installed: pip install 'slamlib[fetch]'") from None
    show(str(report))
    return USED_NONE if report.failed else USED_ALL


def _policy(options):
    if not options.rate > 0:
        raise InputError(f"rate={options.rate} must be positive")
    names = ("workers", "attempts", "backoff", "longest_wait", "timeout")
    return RequestPolicy(interval=1 / options.rate, **{name: getattr(options, name) for name in names})


def _table(options, name):
    from slamlib.io import embedded

    own = options.tables and options.tables / name
    return own if own and own.exists() else embedded(name)


def _base(options, name, parameter="base"):
    """Return the address that an option gives, if it does, as a keyword argument."""
    url = getattr(options, f"base_{name}")
    return {parameter: url} if url else {}


def _tlusty(options, show):
    from slamlib.fetch import tlusty
    from slamlib.fetch.download import Report
    from slamlib.grid.tlusty.read import build_grid

    folder, report, progress = options.to / "tlusty", Report(), not options.quiet
    archives, vturb = _table(options, "tlusty_archives.ecsv"), options.vturb
    if not options.build_only:
        selection = {"compositions": options.composition, "vturb": vturb, **_base(options, "tlusty")}
        report = tlusty.fetch(archives, folder, _policy(options), say=show, progress=progress, **selection)
        if options.build and report.failed:
            report.fail("grid", "not made, archives are missing; --build-only makes it of those there", show)
    if options.build_only or (options.build and not report.failed):
        output = options.to / "tlusty_grid.fits"
        try:
            print(build_grid(folder, output, vturb=vturb, archives=archives, progress=progress))
            report.fetched.append(output)
        except SlamlibError as error:
            report.fail("grid", error, show)
    return report


def _lamost(options, show):
    return _spectra(options, show, options.wanted, options.instrument)


def _spectra(options, show, wanted, instrument):
    from slamlib.fetch import lamost

    table, release = _table(options, "lamost_releases.ecsv"), options.release or _RELEASES[instrument]
    folder = options.to / f"lamost_{instrument.lower()}"
    about = {"say": show, "progress": not options.quiet, **_base(options, "lamost")}
    about["token_over_http"] = options.token_over_http
    return lamost.fetch(wanted, table, release, instrument, folder, _policy(options), **about)


def _catalogues(options, show):
    from slamlib.fetch import catalogues
    from slamlib.io import read_ecsv

    folder, listed = options.to / "catalogues", read_ecsv(_table(options, "vizier_catalogues.ecsv"))
    server = _base(options, "vizier", "server")
    about = {"names": options.names, "say": show, "progress": not options.quiet, **server}
    report = catalogues.fetch(listed, folder, _policy(options), **about)
    names = ("hrs_labels", "vizier_columns")
    labels, columns = (read_ecsv(_table(options, f"{name}.ecsv")) for name in names)
    for row in listed:
        ours = labels[labels["reference"] == row["reference"]]
        tables = sorted((folder / row["name"]).glob("[!m]*.ecsv"))  # all but the manifest
        if len(ours) and tables:
            try:
                theirs = catalogues.read_first(tables, columns, row["name"])
                _compare(row, ours, theirs, folder / f"differences_{row['name']}.ecsv")
            except SlamlibError as error:
                report.fail("check of hrs_labels.ecsv", error, show)
    return report


def _compare(row, ours, theirs, output):
    """Print and write where the labels of high-resolution spectra differ from a catalogue's."""
    from slamlib.fetch.catalogues import check_hrs_labels
    from slamlib.io import write_ecsv

    found = check_hrs_labels(ours, theirs)
    write_ecsv(found, output)
    print(f"{row['reference']}: {len(ours)} stars checked, {len(found)} differences, see {output}")
    for star, label, here, there, _ in found.iterrows():
        # nan is not equal to itself
        print(f"  {star}: {label} {here:g} here, {f'{there:g}' if there == there else 'not'} there")


def _isochrones(options, tell):
    """Convert a file; return the exit status. This needs no network, nor packages for it."""
    from slamlib.fetch.isochrones import convert

    output = options.to / "isochrones.ecsv"
    table = convert(options.export, output)
    ages = sorted({f"{age:.2f}" for age in table["log_age"]})
    print(f"{output}: {len(table)} rows, log age {', '.join(ages)}")
    return USED_ALL


def _all(options, show):
    """Fetch everything; what fails in one kind does not keep the others from coming."""
    from slamlib.fetch.download import Report

    todo: list = [("catalogues", _catalogues, ())]
    if options.wanted:
        todo += [("LAMOST", _lamost, ())]
    else:
        for name, table in _SAMPLES.items():
            todo += [(f"LAMOST {name}", _spectra, ([options.to / "catalogues" / table], name))]
    report = Report()
    for what, act, arguments in [*todo, ("TLUSTY", _tlusty, ())]:
        try:
            report += act(options, show, *arguments)
        except SlamlibError as error:
            report.fail(what, error, show)
    return report
