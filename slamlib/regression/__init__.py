"""From labels to spectra: one regression per pixel, all on one kernel matrix."""
