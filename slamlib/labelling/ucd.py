"""What columns mean, in the words of the Virtual Observatory (UCD1+, version 1.6)."""

_UCDS = {
    "file": "meta.id;meta.file",
    "instrument": "instr",
    "obsid": "meta.id;meta.main",
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "mjd": "time.epoch;obs",
    "snr": "stat.snr",
    "snr_b": "stat.snr;em.opt.V",
    "snr_r": "stat.snr;em.opt.R",
    "rv": "spect.dopplerVeloc.opt",
    "subclass": "src.spType",
    "teff": "phys.temperature.effective",
    "logg": "phys.gravity",
    "mh": "phys.abund.Z",
    "vsini": "phys.veloc.rotat",
    "vsini_limit": "phys.veloc.rotat;stat.max",
    "vturb": "phys.veloc.microTurb",
    "chi2": "stat.fit.chi2",
    "n_pix": "meta.number",
    "flag": "meta.code",
    "status": "meta.code.status",
    "reason": "meta.note",
    "note": "meta.note",
    "assumed": "meta.note",
    "company": "meta.code",
    "gain_2": "stat.fit.chi2",
    "ratio_2": "phot.flux;arith.ratio",
    "v_1": "spect.dopplerVeloc.opt;arith.diff",
    "v_2": "spect.dopplerVeloc.opt;arith.diff",
    "source_id": "meta.id.cross",
    "parallax": "pos.parallax",
    "gmag": "phot.mag;em.opt",
    "bp_rp": "phot.color",
    "mass": "phys.mass",
    "log_age": "time.age",
    "log_l": "phys.luminosity",
    "log_l_plx": "phys.luminosity",
    "a_g": "phys.absorption;em.opt",
    "distance": "pos.distance",
    "tension": "stat.value",
}
_WIDTH = "spect.line.eqWidth"


def ucd_of(name):
    """Return the UCD of a column of a catalogue, or "" if it has none.

    Examples
    --------
    >>> ucd_of("e_teff"), ucd_of("ew_mg4481"), ucd_of("logg_svr")
    ('stat.error;phys.temperature.effective', 'spect.line.eqWidth', 'phys.gravity')
    """
    for ending in ("_svr", "_paper"):
        name = name.removesuffix(ending)
    if name.startswith(("e_", "b_")):
        of = ucd_of(name[2:])
        return f"stat.error;{of}" if of else ""
    return _WIDTH if name.startswith("ew_") else _UCDS.get(name, "")


def with_ucds(table):
    """Return the table, with the UCD of each column that has one in the column's ``meta["ucd"]``."""
    for column in table.itercols():
        if ucd := ucd_of(column.name):
            column.meta["ucd"] = ucd
    return table
