"""What a star of given labels looks like: model grid, broadening, training sets."""
