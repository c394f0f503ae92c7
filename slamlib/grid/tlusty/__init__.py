"""TLUSTY's own formats: the official archives are read, merged and written."""
