"""One simulated star, written as every kind of file that observatories and people make."""

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty

from slamlib.grid.broaden import broaden, instrument_sigma, pixel_edges, rebin_matrix
from slamlib.spectra.spectrum import air_from_vacuum, vacuum_from_air

# Between the nodes of the grid in every label; teff, logg, mh, vsini.
LABELS, RV = (22_300.0, 3.87, -0.15, 95.0), 31.0
LINEAR = np.arange(3880.0, 5120.0, 0.3)
LOG = 10 ** np.arange(np.log10(3880), np.log10(5120), 3e-5)


class Star:
    """The star at a resolving power and a SNR per 0.3 A; a call gives flux and error at air wavelengths."""

    def __init__(self, grid, resolution, snr, seed):
        sigma = instrument_sigma(resolution)
        self.fine = broaden(grid.spectra([LABELS[:3]]), grid.dv, LABELS[3], sigma, RV)
        self.grid, self.snr, self.rng = grid, snr, np.random.default_rng(seed)

    def __call__(self, wave):
        flux = (self.fine @ rebin_matrix(pixel_edges(self.grid.wave), pixel_edges(wave)))[0]
        shape = 3e-14 * (wave / 5000) ** -3.0
        noise = shape / (self.snr * np.sqrt(np.gradient(wave) / 0.3))
        return flux * shape + noise * self.rng.normal(size=wave.size), noise


def image(path, flux, *others, **cards):
    hdu = fits.PrimaryHDU(flux)
    hdu.header.update({key.replace("__", "-"): value for key, value in cards.items()})
    fits.HDUList([hdu, *others]).writeto(path)


def table(path, name="SPECTRUM", header=None, cards=None, **columns):
    made = [fits.Column(key, "J" if key == "AND_MASK" else "D", array=one) for key, one in columns.items()]
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    hdu.header.update(cards or {})
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(header or {})), hdu]).writeto(path)


def linear(path, star):
    image(path, star(LINEAR)[0], CTYPE1="AWAV", CRVAL1=3880.0, CDELT1=0.3)


def linear_in_nm(path, star):
    """The reference pixel is not the first."""
    image(path, star(LINEAR)[0], CRVAL1=388.0 + 9 * 0.03, CD1_1=0.03, CRPIX1=10.0, CUNIT1="nm")


def logarithmic(path, star):
    image(path, star(LOG)[0], CTYPE1="LINEAR", CRVAL1=np.log10(3880), CD1_1=3e-5, DC__FLAG=1)


def eso(path, star):
    """Phase 3: one row of vectors, nm in vacuum as the UCD says."""
    flux, error = star(air_from_vacuum(LINEAR))
    columns = [
        fits.Column(name, f"{LINEAR.size}D", array=values[None])
        for name, values in (("WAVE", LINEAR / 10), ("FLUX", flux), ("ERR", error))
    ]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header.update({"TUNIT1": "nm", "TUCD1": "em.wl"})
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def sdss(path, star, wave=LOG):
    """No PIXMASK; a pixel that AND_MASK marks has nonsense and a weight."""
    flux, error = star(air_from_vacuum(wave))
    mask = np.zeros(wave.size, int)
    mask[200::300], flux[200::300] = 1 << 19, 1e-10
    columns = {"flux": flux, "loglam": np.log10(wave), "ivar": error**-2.0, "AND_MASK": mask}
    table(path, "COADD", {"PLUG_RA": 120.5, "PLUG_DEC": 33.0, "RA": 121.0, "DEC": 32.0}, **columns)


def desi(path, star):
    """Cameras that overlap; the masked pixels are nonsense."""
    hdus = [fits.PrimaryHDU()]
    told = {"TARGETID": 39627_000_000_001, "TARGET_RA": 120.5, "TARGET_DEC": 33.0}
    columns = [fits.Column(key, "K" if key == "TARGETID" else "D", array=[of]) for key, of in told.items()]
    hdus.append(fits.BinTableHDU.from_columns(columns, name="FIBERMAP"))
    for camera, wave in (("B", np.arange(3880.0, 5800, 0.8)), ("R", np.arange(5760.0, 6900, 0.8))):
        flux, error = star(air_from_vacuum(wave))
        mask = np.zeros((1, wave.size), np.int32)
        mask[0, 100::200], flux[100::200] = 1, 1e-10
        hdus += [
            fits.ImageHDU(wave, name=f"{camera}_WAVELENGTH"),
            fits.ImageHDU(flux[None], name=f"{camera}_FLUX"),
            fits.ImageHDU(error[None] ** -2.0, name=f"{camera}_IVAR"),
            fits.ImageHDU(mask, name=f"{camera}_MASK"),
        ]
    fits.HDUList(hdus).writeto(path)


def in_extension(path, star):
    """As mpdaf writes a spectrum of MUSE: image in the first extension, variance in another."""
    flux, error = star(LINEAR)
    data, stat = fits.ImageHDU(flux, name="DATA"), fits.ImageHDU(error**2, name="STAT")
    data.header.update({"CTYPE1": "AWAV", "CRVAL1": 3880.0, "CDELT1": 0.3, "CUNIT1": "Angstrom"})
    fits.HDUList([fits.PrimaryHDU(), data, stat]).writeto(path)


def calspec(path, star):
    """Hubble's wavelengths are in vacuum, and go on into the ultraviolet."""
    flux, error = star(air_from_vacuum(LINEAR))
    beyond = np.arange(1150.0, 2000.0, 1.0)
    wave, nothing = np.append(beyond, LINEAR), np.zeros(beyond.size)
    columns = {"FLUX": np.append(nothing, flux), "STATERROR": np.append(nothing, error)}
    table(path, header={"TELESCOP": "HST"}, WAVELENGTH=wave, **columns)


def rows(path, star):
    image(path, np.stack([LINEAR, *star(LINEAR)])[:2])


def four_bands(path, star):
    """IRAF's apall: optimal and plain extraction, sky, sigma."""
    flux, error = star(LINEAR)
    cards = {"BANDID1": "spectrum: weights variance", "BANDID2": "raw", "BANDID3": "sky", "BANDID4": "sigma"}
    bands = np.stack([flux, 1.1 * flux, 0.1 * flux, error])[:, None]
    image(path, bands, CTYPE1="LINEAR", CRVAL1=3880.0, CD1_1=0.3, **cards)


def text(path, star, wave=LINEAR):
    np.savetxt(path, np.stack([wave, star(wave)[0]], axis=1), header="wave flux")


def text_of_three(path, star):
    """A line of names that is no comment; nm."""
    np.savetxt(path, np.stack([LINEAR / 10, *star(LINEAR)], axis=1), header="nm,flux,error", comments="")


def text_in_vacuum(path, star):
    np.savetxt(path, np.stack([LINEAR, *star(air_from_vacuum(LINEAR))], axis=1), delimiter=",")


# What each needs to be told, beside the instrument.
FILES = {
    **{f: {} for f in (linear, linear_in_nm, logarithmic, eso, sdss, desi, in_extension, calspec, rows)},
    **{four_bands: {}, text: {}, text_of_three: {"unit": "nm"}, text_in_vacuum: {"vacuum": True}},
}


class Like:
    """What an object of specutils has."""

    def __init__(self, wave, flux, error, mask=None):
        self.spectral_axis, self.flux = wave, flux * u.Unit("erg / (s cm2 AA)")
        self.uncertainty, self.mask = StdDevUncertainty(error * 10, unit="W / (m2 um)"), mask


def quantities(star):
    flux, error = star(LINEAR)
    unit = u.Unit("erg / (s cm2 AA)")
    return LINEAR * 1e-4 * u.um, flux * unit, error * 10 * u.Unit("W / (m2 um)")


def object_of_specutils(star):
    flux, error = star(LINEAR)
    mask = np.zeros(LINEAR.size, bool)
    mask[100::200], flux[100::200] = True, 1e-10
    return Like(LINEAR * u.AA, flux, error, mask)


def frequencies(star):
    flux, error = star(LINEAR)
    return (vacuum_from_air(LINEAR) * u.AA).to(u.THz, u.spectral()), flux, error


OBJECTS = {quantities: {}, object_of_specutils: {}, frequencies: {"vacuum": True}}
