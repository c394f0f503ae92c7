"""slamlib luminosity: luminosities by Gaia beside those of the labels; mass, age, distance, companions."""

from pathlib import Path

from slamlib.cli.options import FORMATS, USED_ALL, add_command, path_ending

_EPILOG = """\
The file has the columns of Gaia's archive (ra, dec, source_id, parallax, parallax_error,
phot_g_mean_mag, bp_rp) or of VizieR (RA_ICRS, DE_ICRS, Source, Plx, e_Plx, Gmag, BP-RP). Without one,
CDS's cross-match service is asked, which needs astroquery and the network. docs/luminosity.md
says what the columns are and what they are worth.

example:
  slamlib luminosity labels.ecsv --gaia gaia.fits -o stars.vot
"""


def add_parser(commands):
    """Add the subcommand."""
    text = "Set luminosities by Gaia's parallaxes beside those that labels imply."
    about = "luminosity, mass, age and distance of labelled stars"
    parser = add_command(commands, "luminosity", run, about, text, _EPILOG)
    kind = path_ending(*FORMATS)
    parser.add_argument("table", type=kind, metavar="TABLE", help="of labels, as 'slamlib label -o' wrote it")
    parser.add_argument("--gaia", type=kind, metavar="FILE", help="entries of Gaia around these stars")
    text = "of 'slamlib fetch isochrones'; the embedded ones"
    parser.add_argument("--isochrones", type=Path, metavar="FILE", help=text)
    parser.add_argument("-o", "--output", type=kind, required=True, metavar="TABLE", help="all columns")


def run(options, tell):
    """Write the table; return the exit status."""
    from slamlib.cli.output import read_table, write
    from slamlib.io import read_ecsv
    from slamlib.labelling.luminosity import fetch_gaia, luminosities

    table = read_table(options.table)
    gaia = read_table(options.gaia) if options.gaia else fetch_gaia(table)
    isochrones = read_ecsv(options.isochrones) if options.isochrones else None
    found = luminosities(table, gaia, isochrones)
    write(found, options.output)
    counts = [f"{int((found['source_id'] > 0).sum())} of {len(found)} stars are in Gaia"]
    counts += [f"{int((found['company'] == word).sum())} {word}" for word in ("too bright", "too faint")]
    print(", ".join(counts))
    return USED_ALL
