"""The real thing: TLUSTY grids, LAMOST spectra and catalogues, fetched from their official sites."""
