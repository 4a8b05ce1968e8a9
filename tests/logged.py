"""What a run leaves of its log, written by hand."""

import json

SESSION = '20260102_030405'


def write_session(folder, lines, config='', name=SESSION, end=''):
    """Write what one start has logged; the folder of its values."""
    data = folder / name / 'vis_data'
    data.mkdir(parents=True)
    text = ''.join(json.dumps(values) + '\n' for values in lines)
    (data / 'scalars.json').write_text(text + end)
    if config:
        (data / 'config.py').write_text(config)
    return data


def curve(losses, every=1, **values):
    """Lines of a loss, with values that stay, one in so many steps."""
    return [
        dict(values, loss=loss, iter=every * i, step=every * i)
        for i, loss in enumerate(losses, 1)
    ]
