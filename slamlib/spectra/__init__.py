"""Observed spectra: files, continuum, velocity, selection, preparation."""
