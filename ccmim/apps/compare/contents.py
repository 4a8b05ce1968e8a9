"""What the files hold that a stage begins with, in short."""

import hashlib
import json
from pathlib import Path

from mmengine.config import Config

from ccmim.api.catalogue import home


def content_of(source: Config | Path) -> str:
    """Name a content so that another has another name.

    Args:
        source: A config, told by its values, wherever the checkout lies; or another
            file, told by its size and the time when it was written.

    Returns:
        Some characters.
    """
    if isinstance(source, Path):
        status = source.stat()
        return f'{status.st_size} {status.st_mtime_ns}'
    text = json.dumps(source.to_dict(), sort_keys=True, default=repr)
    text = text.replace(f'{home()}/', '')
    return hashlib.sha256(text.encode()).hexdigest()[:16]
