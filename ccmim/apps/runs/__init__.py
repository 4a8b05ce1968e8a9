"""What a run has left in its folder, read without running anything found there."""
