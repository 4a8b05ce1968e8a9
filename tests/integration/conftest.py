"""The full-size pretraining configs, cut down to a network that trains in seconds."""

import pytest

from tests.short_runs import short_config


@pytest.fixture
def tiny_run(image_folder, tmp_path):
    """Make a config by name, on eight photos, writing to a folder of ``tmp_path``.

    Further changes are by dotted key.
    """

    def make(name, folder, changes=None):
        leaf = f'pretrain/{name}'
        return short_config(leaf, tmp_path / folder, image_folder, changes)

    return make
