"""Side by side: slamlib and what it replaces, measured in one run."""
