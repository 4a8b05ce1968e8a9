"""NaN and infinite losses, gradients and weights."""
