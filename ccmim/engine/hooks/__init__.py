"""What happens beside the steps of a run."""
