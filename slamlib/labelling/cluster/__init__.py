"""Larger than one machine: the parts of a survey labelled by the workers of a Dask cluster."""
