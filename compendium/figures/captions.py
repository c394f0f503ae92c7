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
    ours : str
        What the reader of our figure must know, and where it departs from the paper's.
    claims : tuple of str
        Keys of `paper_claims.ecsv`, or patterns of them, that the paper states with this figure.
    stars : bool
        Whether it shows observed stars, which may be simulated.
    """

    title: str
    alt: str
    paper: str = ""
    ours: str = ""
    claims: tuple = ()
    stars: bool = False

    def description(self, simulated):
        """Alternative text; it says so if the stars are simulated."""
        return f"{self.alt} The stars are simulated." if simulated and self.stars else self.alt


_FIT = (
    "Above, the observed spectrum and its pseudo-continuum; below, the one divided by the other, with the "
    "model. Grey bands carry no weight; crosses are pixels that the fit rejected, at the edge of the panel "
    "if they lie beyond it. Lines are named where the model has them."
)

_O_STARS = (
    " With the embedded grid, whose models of O stars have He II too weak, labels above 32,000 K are not to "
    "be trusted beyond 10% in temperature and 0.4 dex in gravity."
)

CAPTIONS = {
    "fig01": Caption(
        "The stars on the sky",
        "A map of the whole sky in Galactic coordinates: grey dots of LRS and red dots of MRS lie along the "
        "Milky Way, north of a dashed line at declination -10 degrees.",
        "The places of 16,032 LRS stars (grey) and 9,382 MRS stars (red) on the sky.",
        "Galactic coordinates in Mollweide's equal-area projection, the anticentre in the middle. Dashed: "
        "LAMOST's southern limit.",
        claims=("n_lrs", "n_mrs"),
        stars=True,
    ),
    "fig02": Caption(
        "The model grid and the training sets",
        "Left: gravity against temperature; circles up to 30,000 K and crosses above fill a grey region "
        "whose lowest gravity rises with temperature, published nodes stand pale between them, red and "
        "blue dots of the training sets lie inside. Right: metallicity against rotation, filled evenly.",
        "The nodes of OSTAR2002 (crosses) and BSTAR2006 (circles), and in grey the region between them that "
        "is interpolated.",
        "The nodes of the grid in use are black, with their number, their steps and their microturbulence "
        "(xi) in the legend, the published ones pale. Where the grid has B nodes of 10 km/s too, as the "
        "embedded one has for each of 2 km/s, kernel ridge uses both. The training labels are not in the "
        "paper's figure.",
        claims=("ostar_*", "bstar_*"),
    ),
    "seam": Caption(
        "Lines through the seam of the grids",
        "Ten panels, one a line: equivalent width against temperature from 20,000 to 42,000 kelvin, blue for "
        "a microturbulence of 2, red for 10 kilometres per second. The two curves meet at 32,500 kelvin, at "
        "the right edge of a grey band: metal lines of 10 fall steeply within it, He I 6678 of 2 rises.",
        ours="Dots are nodes of log g 4 and solar metallicity; between them spectra are interpolated "
        "linearly. O stars, from 32,500 K, were computed with 10 km/s alone and stand for every "
        "microturbulence, so that it fades out in the grey band. Where curves of 10 km/s bend there, the two "
        "computations differ.",
    ),
    "fig03": Caption(
        "Cross-validation: scatter and bias against SNR",
        "Four panels, one a label: scatter (solid) falls as the signal-to-noise ratio rises from 20 to "
        "100, bias (dashed) stays near zero; red squares are LRS, blue stars MRS.",
        "Scatter (solid) and bias (dashed) of each label against SNR, from cross-validation of LRS (red "
        "squares) and MRS (blue stars) models.",
        "Red and blue are the instruments here; in Fig. 4 they are sizes of the training set.",
        claims=("svr_*",),
    ),
    "fig04": Caption(
        "How many training spectra are enough?",
        "Scatter of each label against signal-to-noise ratio, LRS and MRS apart, one curve for each size "
        "of the training set: at the paper's sizes larger sets mostly lie lower, most of all at high "
        "signal-to-noise ratio.",
        "The same scatter for training sets of 1,000 and 5,000 (LRS) and of 1,000, 5,000 and 10,000 (MRS) "
        "spectra. The paper settles on 1,000 and 5,000.",
        "Red, blue and black are sizes of the training set, not instruments as in Fig. 3.",
        claims=("sigma_*_snr100", "n_train_*"),
    ),
    "fig05": Caption(
        "An MRS spectrum and its fit",
        "Two windows of an MRS spectrum, one around 5100 and one around 6550 angstrom with H-alpha. Above, "
        "the pseudo-continuum runs through the tops of the observed flux; below, the model lies on the "
        "normalised flux and residuals stay within the noise; a few crosses mark rejected pixels.",
        "The MRS spectrum of OBSID 703901108, SLAM's model of it, and the labels found.",
        _FIT,
        claims=("star703901108_*_mrs",),
        stars=True,
    ),
    "fig06": Caption(
        "An LRS spectrum and its fit",
        "Above, an LRS spectrum from 3900 to 7000 angstrom with the pseudo-continuum through its tops. "
        "Below, in three rows, the normalised flux with the Balmer and helium lines named: the model lies on "
        "it, residuals under each row stay within the noise.",
        "The LRS spectrum of the same star, SLAM's model of it, and the labels found.",
        _FIT,
        claims=("star703901108_*_lrs",),
        stars=True,
    ),
    "fig07": Caption(
        "Gravity against temperature",
        "Density of stars in gravity against temperature, LRS above and MRS below: some, of simulated stars "
        "about half, lie along the main sequence near log g = 4 inside the dotted edge of the model grid; "
        "isochrones of 1, 10 and 100 million years pass through them; the others lie outside, cooler or at "
        "extreme gravity.",
        "The density of the stars of LRS and of MRS in this plane, with PARSEC isochrones, coloured by "
        "metallicity, and the edge of the grid; stars outside it are not to be trusted.",
        "Colours are ages here and dashes metallicity. An isochrone is pale where its masses are more than "
        "10% apart: straight there, for nothing is known between, as at 37,000 to 50,000 K and 1 Myr. "
        "Stars without log g (MRS with H alpha in emission) are not drawn, so that there can be fewer than "
        "in the tables." + _O_STARS,
        claims=("n_mrs_table", "n_*_in_grid", "n_lrs_low_logg"),
        stars=True,
    ),
    "hr_extended": Caption(
        "Gravity against temperature, with late B and early A stars",
        "The axes, isochrones and density of Fig. 7; stars cooler than 15,000 kelvin lie in an "
        "extension of the grid, with a grey dotted edge down to 9,000 kelvin.",
        ours="A companion of Fig. 7 that the paper does not have: the labels are those of the models that "
        "come with slamlib, whose grid is joined at 15,000 K to LTE models of cooler stars (flag X). "
        "Simulated late B stars of MRS, of an older computation "
        "with stronger metal lines, crowd at 15,000 K (notebook 07).",
        stars=True,
    ),
    "fig08": Caption(
        "Against high-resolution spectra",
        "SLAM's temperature, gravity and rotation against those from high-resolution spectra, red circles "
        "LRS and blue squares MRS, along the one-to-one line, differences below, and below those a small "
        "table of their rms; rotation too slow to be measured hangs as an arrow from its upper limit.",
        "SLAM's labels of 28 stars against those from high-resolution spectra: LRS red circles, MRS blue "
        "squares.",
        "The differences below and their rms, which contains the bias, are ours; the n stars with measured "
        "labels inside the grid count in it. An upper limit of v sin i holds if the value from high "
        "resolution is not above it. The same stars spun to 0-300 km/s test the rotation, since none of the "
        "28 is faster than 45 km/s. At LRS, which hardly resolves that, their v sin i tends to be too large."
        + _O_STARS,
        claims=("n_hrs", "sigma_*_hrs"),
        stars=True,
    ),
    "fig09": Caption(
        "LRS against MRS",
        "Each label from MRS against the same from LRS, coloured by signal-to-noise ratio, along the one-"
        "to-one line, differences below; stars outside the grey ranges of the grid are open and pale, and "
        "scatter more.",
        "The labels of 229 stars that both instruments observed at SNR above 100, against each other.",
        "Grey: the ranges of the grid. Bias and scatter are of the coloured stars, which lie in the grid by "
        "both instruments; pale ones do not, or have only an upper limit of v sin i." + _O_STARS,
        claims=("n_common",),
        stars=True,
    ),
    "fig10": Caption(
        "The posterior of one star",
        "Corner plot of temperature, gravity, metallicity and rotation of one MRS star: histograms on the "
        "diagonal, contours of 68, 95 and 99 per cent below, some of them tilted.",
        "The posterior of the four labels of an MRS star, OBSID 682701103, sampled by MCMC: which labels can "
        "be mistaken for one another. Temperature and gravity are found to be weakly correlated.",
        "An MRS star too, well inside the grid and of median SNR, since the labels of the paper's star are "
        "in none of our sources. Grey lines in the histograms: 16, 50 and 84%. How strongly Teff and log g "
        "of this star are correlated is in `conclusions.ecsv`; in simulated MRS stars they mostly are "
        "strongly, unlike in the paper's star.",
        stars=True,
    ),
    "forensics": Caption(
        "What the errors of model spectra are made of",
        "Above, error of temperature against temperature for LRS and MRS: support vectors lie mostly above "
        "kernel ridge; at the paper's sizes, that lies near the line of the Cramer-Rao bound, and all rise "
        "above 45,000 kelvin. Below, a line for each experiment with the errors of temperature, gravity and "
        "rotation; dashed lines mark the paper's.",
    ),
    "selection": Caption(
        "Which stars are early-type",
        "Equivalent width of the G band (LRS) or of H alpha (MRS) against that of the Mg I triplet: the "
        "stars of the survey crowd at widths of metal lines near zero, left of a line at 1 "
        "angstrom and, for LRS, below another. Where the MILES library has been fetched, its stars, in "
        "black, reach far beyond.",
        stars=True,
    ),
    "calibration": Caption(
        "Do errors mean what they say?",
        "A column for each label, values of LRS and MRS against signal-to-noise ratio. Top: width and "
        "mean of the pulls, with grey bands around one and zero where they should lie. Middle: coverage "
        "of the 68 and 95 per cent intervals. Bottom: scatter over the Cramer-Rao bound, which is one at "
        "best.",
        ours="Error bars are one standard error, by the number of stars.",
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
    "luminosity": Caption(
        "Luminosities by parallax and by labels",
        "Left: logarithm of the luminosity by Gaia's parallax against that of the labels; single stars "
        "scatter around the line of equality, stars with a companion lie above it, up to the dashed line of "
        "twice the light. Right: the difference in standard errors, a histogram for single stars, near the "
        "normal curve, and for stars with companions, shifted to the right; dotted lines at three errors.",
        ours="Parallaxes, magnitudes and companions are drawn; a companion adds light and no lines.",
        stars=True,
    ),
    "mismatches": Caption(
        "Why real stars scatter more than models",
        "Error of each label of simulated stars against the mismatch added, step by step: errors of "
        "temperature, gravity and metallicity jump when the continuum of observed spectra is fitted while "
        "the models have the true one, and fall again when both are treated alike; that of rotation "
        "changes little.",
        ours="Left of the line each step adds what observed spectra have and the training spectra lack: "
        "another interpolation, macroturbulence and a resolution that varies, the error of the velocity, "
        "and a fitted continuum, with dust and cosmic rays. Right of it, models whose continuum is fitted in "
        "the same way, and then a likelihood that knows which errors neighbouring pixels share.",
        stars=True,
    ),
}
