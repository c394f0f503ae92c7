"""slamlib info: what trained models say of themselves."""

from slamlib.cli.options import USED_ALL, USED_SOME, show


def add_parser(commands):
    """Add the subcommand."""
    text = "Say what files of trained models were made of; without a file, where models are kept."
    parser = commands.add_parser("info", help="what trained models are made of", description=text)
    parser.add_argument("files", nargs="*", metavar="FILE", help="of a labeller, such as krr_LRS.npz")
    parser.set_defaults(run=run)


def run(options, tell):
    """Print what is known; return the exit status."""
    from slamlib.errors import FileError
    from slamlib.io import embedded
    from slamlib.labelling.label_table import unknown_profile
    from slamlib.labelling.labeller import Labeller
    from slamlib.labelling.models import home

    kept = [*home().glob("models/*/*.npz"), *embedded("models").glob("*.npz")]
    status = USED_ALL
    for path in options.files or sorted(kept):
        try:
            labeller = Labeller.read(path)
        except FileError as error:
            if options.files:
                raise
            # Others may be sound: one of an older format lies in the folder of whoever has upgraded.
            tell(error)
            status = USED_SOME
            continue
        said = {"instrument": labeller.instrument.name, **labeller.about}
        if scatter := unknown_profile(labeller):
            said["profile"] = f"its uncertain width scatters the square of v sin i by {scatter:.0f} km2/s2"
        show("\n".join([str(path), *(f"  {name}: {value}" for name, value in said.items())]))
    show(f"models are kept in {home() / 'models'}")
    return status
