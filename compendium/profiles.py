"""The two sizes of the one code path: `QUICK` to see it work, `PAPER` to reproduce the paper."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """How large a run is. Mappings are keyed by the instrument's name.

    Attributes
    ----------
    name : str
    takes : str
        How long everything takes on two cores, for people.
    n_train : dict of int
        Training spectra of the paper's regressor (support vectors), for Figs 3 and 4.
    n_labels : dict of int
        Training spectra of the kernel ridge regression that labels the stars.
    sample_sizes : dict of tuple of int
        Training sizes whose errors notebook 04 compares.
    n_folds : int
        Folds of the cross-validation.
    snrs : tuple of int
        Signal-to-noise ratios of the cross-validation.
    n_validate : int
        Held-out stars labelled at each SNR of a cross-validation, and simulated ones at each
        step of the ladder of mismatches.
    choices : bool
        Whether notebook 03 tries other choices of the regression, each a cross-validation.
    n_stars : dict of int
        Stars of the simulated survey.
    n_extended : int or None
        Spectra of each instrument that are labelled with the extended grid too; None: all.
    n_calibration : int
        Simulated stars at each of `calibration_snrs` that the systematics are measured on.
    calibration_snrs : tuple of int
        SNR per pixel of the files.
    n_trust : int
        Simulated stars at each of `snrs_trust` that tell whether errors hold.
    snrs_trust : tuple of int
        With 50 and 100 among them.
    n_ranks : int
        Stars whose posteriors are sampled to rank the truth in them.
    n_common : int
        Simulated stars observed by both instruments at SNR > 100.
    n_walkers, n_burn, n_steps : int
        Walkers of the posterior of notebook 10, the steps they forget and the steps they keep.
    """

    name: str
    takes: str
    n_train: dict
    n_labels: dict
    sample_sizes: dict
    n_folds: int
    snrs: tuple
    n_validate: int
    choices: bool
    n_stars: dict
    n_extended: int | None
    n_calibration: int
    calibration_snrs: tuple
    n_trust: int
    snrs_trust: tuple
    n_ranks: int
    n_common: int
    n_walkers: int
    n_burn: int
    n_steps: int

    def n_drawn(self, instrument):
        """Training spectra drawn for an instrument: the most that any notebook asks for."""
        counts = (self.n_train, self.n_labels)
        return max(*(count[instrument] for count in counts), *self.sample_sizes[instrument])


QUICK = Profile(
    name="quick",
    takes="about 6 minutes",
    n_train={"LRS": 300, "MRS": 400},
    n_labels={"LRS": 1000, "MRS": 1000},
    sample_sizes={"LRS": (150, 300), "MRS": (150, 400)},
    n_folds=5,
    snrs=(20, 40, 60, 80, 100),
    n_validate=100,
    choices=False,
    n_stars={"LRS": 400, "MRS": 240},
    n_extended=50,
    n_calibration=120,
    calibration_snrs=(20, 60, 180),
    n_trust=40,
    snrs_trust=(50, 100),
    n_ranks=20,
    n_common=60,
    n_walkers=32,
    n_burn=200,
    n_steps=1500,
)

# The paper's numbers: 1,000 and 5,000 training spectra (3.1), samples of Fig. 4, stars of
# Tables 1 and 2, common stars of 4.4. It does not give the length of its chains.
PAPER = Profile(
    name="paper",
    takes="an hour and a half",
    n_train={"LRS": 1000, "MRS": 5000},
    n_labels={"LRS": 5000, "MRS": 5000},
    sample_sizes={"LRS": (1000, 5000), "MRS": (1000, 5000, 10000)},
    n_folds=5,
    snrs=(20, 40, 60, 80, 100),
    n_validate=1000,
    choices=True,
    n_stars={"LRS": 16032, "MRS": 9382},
    n_extended=None,
    n_calibration=2000,
    # Half octaves where systematics, not noise, make the errors.
    calibration_snrs=(10, 20, 40, 80, 113, 160, 226, 320),
    n_trust=2000,
    snrs_trust=(20, 50, 100, 200),
    n_ranks=300,
    n_common=229,
    n_walkers=32,
    n_burn=1000,
    n_steps=4000,
)

PROFILES = {profile.name: profile for profile in (QUICK, PAPER)}
