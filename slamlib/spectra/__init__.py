"""The observed side: LAMOST files, continuum, velocity, simulated surveys."""
