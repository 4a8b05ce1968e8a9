"""The synthetic scenes."""
