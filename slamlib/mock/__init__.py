"""The simulated survey: who is observed, through what, and the LAMOST files written."""
