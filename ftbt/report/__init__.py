"""The report of a walk-forward: one self-contained HTML file, rendered from the run folder."""
