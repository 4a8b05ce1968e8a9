"""Where a run is, and how it resumes exactly there."""
