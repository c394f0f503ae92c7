"""Model spectra: grids and their edge, broadening, training sets."""
