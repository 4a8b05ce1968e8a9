"""The old name of ``ccmim.dense.linear_seg_head``, for one release."""

import ccmim.dense.linear_seg_head  # noqa: F401
