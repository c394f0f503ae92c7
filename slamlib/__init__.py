"""Stellar labels of hot stars: train SLAM on TLUSTY models, label LAMOST spectra.

The rooms, from the star to the page:

- `slamlib.synth`: what a star of given labels looks like;
- `slamlib.slam`: learn that, and invert it;
- `slamlib.survey`: the observed side;
- `slamlib.paper`: figures, tables, claims and the pipeline that makes them.
"""

__version__ = "0.1.0"
