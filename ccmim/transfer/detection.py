"""The old name of ``ccmim.dense.detection``, for one release."""

import ccmim.dense.detection  # noqa: F401
