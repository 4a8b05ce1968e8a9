"""Where a run is, and how it goes on exactly there."""
