"""The paper, Guo et al. (2021): runs, pipeline, figures, tables, claims, site, lessons, explorer."""
