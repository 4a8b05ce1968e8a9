"""Speed and memory of training, measured beside published code in the same rounds."""
