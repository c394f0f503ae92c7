"""The command `slamlib`, and `slamlib.label`: labels of anybody's spectra, in one line."""
