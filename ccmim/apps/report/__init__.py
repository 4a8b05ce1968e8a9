"""The report: one page with all that some runs have left."""
