"""What a person runs; nothing above imports it."""
