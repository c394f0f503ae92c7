"""The explorer: labels by sliders, the spectrum that SLAM predicts, and observed stars over it."""
