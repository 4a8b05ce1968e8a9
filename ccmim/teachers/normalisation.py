"""The normalisation of images that the configs use."""

# By channel, in 0..255: what the data preprocessor subtracts and divides by.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
