"""The data that slamlib needs: the model grid, tracks of stars, addresses."""
