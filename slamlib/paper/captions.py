"""What each figure shows, in words: captions of the site, and the alternative text of its images.

The paper's own figures are not copied. `paper` says what they show; the numbers beside it
come from `data/embedded/paper_claims.ecsv`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    """A figure in words.

    Attributes
    ----------
    title : str
    alt : str
        What one would see, for those who cannot.
    paper : str
        What the paper's figure shows; empty for a figure that the paper does not have.
    claims : tuple of str
        Keys of `paper_claims.ecsv`, or patterns of them ("sigma_*_hrs"), that the paper states
        with this figure.
    stars : bool
        Whether it shows observed stars, which may be simulated.
    """

    title: str
    alt: str
    paper: str = ""
    claims: tuple = ()
    stars: bool = False

    def description(self, simulated):
        """Alternative text; it says so if the stars are simulated."""
        return f"{self.alt} The stars are simulated." if simulated and self.stars else self.alt


CAPTIONS = {
    "fig01": Caption(
        "From a LAMOST spectrum to a normalised one",
        "Two spectra, one of LRS and one of MRS with an arm a column: above, the flux with its pseudo-"
        "continuum drawn through the tops; below, the flux divided by it, flat at one with lines pointing "
        "down.",
        "A LAMOST spectrum of an early-type star, its pseudo-continuum, and the spectrum divided by it.",
        stars=True,
    ),
    "fig02": Caption(
        "The model grid and the training sets",
        "Left: gravity against temperature; crosses of OSTAR2002 and circles of BSTAR2006 fill a region "
        "whose lower gravity rises with temperature, red and blue dots of the training sets lie inside "
        "it. Right: metallicity against rotation, filled evenly.",
        "The nodes of OSTAR2002 (crosses) and BSTAR2006 (circles), and the labels of the training sets of "
        "LRS and MRS drawn between them.",
        ("ostar_*", "bstar_*"),
    ),
    "fig03": Caption(
        "Cross-validation: scatter and bias against SNR",
        "Four panels, one a label: scatter (solid) falls as the signal-to-noise ratio rises from 20 to "
        "100, bias (dashed) stays near zero; red squares are LRS, blue stars MRS.",
        "Scatter (solid) and bias (dashed) of each label against SNR, from cross-validation of LRS (red "
        "squares) and MRS (blue stars) models.",
        ("svr_*",),
    ),
    "fig04": Caption(
        "How many training spectra are enough?",
        "Scatter of each label against signal-to-noise ratio, LRS and MRS apart, one curve for each size "
        "of the training set: larger sets lie lower, most of all at high signal-to-noise ratio.",
        "The same scatter for training sets of 1,000 and 5,000 (LRS) and of 1,000, 5,000 and 10,000 (MRS) "
        "spectra. The paper settles on 1,000 and 5,000.",
        ("sigma_*_snr100", "n_train_*"),
    ),
    "fig05": Caption(
        "An MRS spectrum and its fit",
        "Two windows of an MRS spectrum, one around 5100 and one around 6550 angstrom with H-alpha: the "
        "model lies on the observed flux, residuals below stay within the noise.",
        "The MRS spectrum of OBSID 703901108, SLAM's model of it, and the labels found.",
        ("star703901108_*_mrs",),
        stars=True,
    ),
    "fig06": Caption(
        "An LRS spectrum and its fit",
        "Three rows of an LRS spectrum from 3900 to 7000 angstrom with the Balmer and helium lines named: "
        "the model lies on the observed flux, residuals under each row stay within the noise.",
        "The LRS spectrum of the same star, SLAM's model of it, and the labels found.",
        ("star703901108_*_lrs",),
        stars=True,
    ),
    "fig07": Caption(
        "Gravity against temperature",
        "Density of stars in gravity against temperature, LRS above and MRS below: most lie along the "
        "main sequence near log g = 4 inside the dotted edge of the model grid; isochrones of 1, 10 and "
        "100 million years pass through them; some stars lie outside, cooler or at extreme gravity.",
        "The density of the stars of LRS and of MRS in this plane, with PARSEC isochrones and the edge of "
        "the grid; stars outside it are not to be trusted.",
        ("n_lrs", "n_mrs", "n_mrs_table", "n_*_in_grid", "n_lrs_low_logg"),
        stars=True,
    ),
    "fig08": Caption(
        "Against high-resolution spectra",
        "SLAM's temperature, gravity and rotation against those from high-resolution spectra, red circles "
        "LRS and blue squares MRS, along the one-to-one line, differences below, and below those a small "
        "table of scatters; rotation too slow to be measured hangs as an arrow from its upper limit.",
        "SLAM's labels of 28 stars against those from high-resolution spectra: LRS red circles, MRS blue "
        "squares. The differences below and their scatter, of measured labels inside the grid, are ours. "
        "The same stars spun to 0-300 km/s test the rotation, since the 28 are slower than 45 km/s.",
        ("n_hrs", "sigma_*_hrs"),
        stars=True,
    ),
    "fig09": Caption(
        "LRS against MRS",
        "Each label from MRS against the same from LRS, coloured by signal-to-noise ratio, along the one-"
        "to-one line, differences below.",
        "The labels of stars that both instruments observed at SNR above 100, against each other.",
        ("n_common",),
        stars=True,
    ),
    "fig10": Caption(
        "The posterior of one star",
        "Corner plot of temperature, gravity, metallicity and rotation of one star: histograms on the "
        "diagonal, contours of 68, 95 and 99 per cent below, some of them tilted.",
        "The posterior of the four labels of one star, sampled by MCMC: which labels can be mistaken for "
        "one another.",
        stars=True,
    ),
    "forensics": Caption(
        "What the errors of model spectra are made of",
        "Above, error of temperature against temperature for LRS and MRS: support vectors lie above kernel "
        "ridge, which lies near the line of the Cramer-Rao bound; all rise above 45,000 kelvin. Below, a "
        "line for each experiment with the errors of temperature, gravity and rotation; dashed lines mark "
        "the paper's.",
    ),
    "calibration": Caption(
        "Do errors mean what they say?",
        "A column for each label, values of LRS and MRS against signal-to-noise ratio. Top: width and "
        "mean of the pulls, with grey bands around one and zero where they should lie. Middle: coverage "
        "of the 68 and 95 per cent intervals. Bottom: scatter over the Cramer-Rao bound, which is one at "
        "best.",
        stars=True,
    ),
    "ranks": Caption(
        "Ranks of the truth in its posterior",
        "Histograms of the rank of the true label among draws from its posterior, a panel for each label, "
        "LRS and MRS; a grey band around one is what pure chance allows.",
        stars=True,
    ),
    "efficiency": Caption(
        "How far from the physical limit?",
        "Typical error of each label of model spectra against signal-to-noise ratio, LRS red squares, "
        "MRS blue stars: support vectors (open) lie above kernel ridge (filled), which follows the lines "
        "of the Cramer-Rao bound.",
    ),
    "information_LRS": Caption(
        "Which lines of LRS carry each label",
        "A panel for each label: spikes are the share of the information that each pixel of LRS holds, "
        "the climbing line its running total, thin verticals the lines of hydrogen and helium. Gravity "
        "sits in the Balmer lines.",
    ),
    "information_MRS": Caption(
        "Which lines of MRS carry each label",
        "A panel for each label, spikes and running total as for LRS, over the two windows of MRS. "
        "Gravity sits in H-alpha alone.",
    ),
    "mismatches": Caption(
        "Why real stars scatter more than models",
        "Error of each label of simulated stars against the mismatch added, step by step: it jumps when "
        "the continuum of observed spectra is fitted while the models have the true one, and falls again "
        "when both are treated alike.",
        stars=True,
    ),
}
