"""The command `slamlib`."""
