"""Learn the flux of every pixel from the labels, and invert it."""
