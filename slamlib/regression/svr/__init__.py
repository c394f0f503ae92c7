"""The regression of the paper: one support vector machine for each pixel, all on one kernel matrix."""
