"""Settings of the probe that cannot work are refused."""

import pytest

from ccmim.training import ProbeHook


@pytest.mark.parametrize(
    ('given', 'text'),
    [
        (dict(interval=0), 'interval=0 must be positive'),
        (dict(images=0), 'images=0 must be positive'),
        (dict(knn=dict(train=1)), 'give train and test'),
        (dict(knn=dict(train=1, test=1, neighbours=3)), 'give train and test'),
    ],
)
def test_settings_that_cannot_work(given, text):
    with pytest.raises(ValueError, match=text):
        ProbeHook(**given)
