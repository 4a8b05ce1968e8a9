"""The old name of ``ccmim.dense``: recorded configs import these modules by it."""
