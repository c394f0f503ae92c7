"""slamlib info: what trained models say of themselves."""

from slamlib.cli.options import USED_ALL


def add_parser(commands):
    """Add the subcommand."""
    text = "Say what files of trained models were made of; without a file, where models are kept."
    parser = commands.add_parser("info", help="what trained models are made of", description=text)
    parser.add_argument("files", nargs="*", metavar="FILE", help="of a labeller, such as krr_LRS.npz")
    parser.set_defaults(run=run)


def run(options, tell):
    """Print what is known; return the exit status."""
    from slamlib.io import embedded
    from slamlib.labelling.labeller import Labeller
    from slamlib.labelling.models import home

    kept = [*home().glob("models/*/*.npz"), *embedded("models").glob("*.npz")]
    for path in options.files or sorted(kept):
        labeller = Labeller.read(path)
        print(path)
        for name, value in {"instrument": labeller.instrument.name, **labeller.about}.items():
            print(f"  {name}: {value}")
    print(f"models are kept in {home() / 'models'}")
    return USED_ALL
