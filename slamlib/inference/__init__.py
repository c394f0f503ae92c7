"""Labels from spectra: likelihood, minimum, errors, posterior and validation."""
