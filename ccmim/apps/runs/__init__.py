"""Read the work dir of a run, without executing anything in it."""
