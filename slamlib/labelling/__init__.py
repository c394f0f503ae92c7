"""From files to labels: the trained labeller, its calibration, the catalogue and what a row is worth."""
