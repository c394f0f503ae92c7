"""TLUSTY's own formats: the official archives are read and merged."""
