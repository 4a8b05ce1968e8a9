"""Advice printed before pretraining: the method and why, and when not to pretrain."""

from ccmim.apps.cli.starting import UNANCHORED

_WIDTH = 13  # of the names of lines
_FEW = 1595  # photos; the fewest with which we have seen pretraining pay
_STUDY = 'in our study (ViT-Ti, 10,000 small photos, five epochs)'
_AHEAD = 'by linear probe, 52.7 to 50.3, at less than half the cost'
# What our study found (docs/study.md, docs/results.md), in a line for each method.
_WHY = {
    'mae': f'the default: {_STUDY} it beat ccMIM {_AHEAD}',
    'ccmim': f'as published; {_STUDY} MAE beat it {_AHEAD}',
    'relational_distill': 'the default with a teacher: in our test (ViT-Ti, 1,595 '
    'photos, six minutes of a CPU) it raised k-NN by 5.9 points',
    'maskdistill': 'as requested; in our test relational_distill was ahead of it',
}
_OTHER = 'as requested; the default is mae, which beat ccMIM in our study'
# The same of runs that begin from weights: a ViT-S/14, the encoder at 1e-5.
_FROM_WEIGHTS = _WHY | {
    'mae': 'as requested; in our test it kept dense features with the anchor, and '
    'ccmim, the default from weights, improved them',
    'ccmim': 'the default from weights: in our test it improved dense features, on '
    'CamVid by 1.7 mIoU in 50 steps (six seeds) and by 6.7 in 1,202 (one seed)',
    'neco': 'as requested; in our test it improved dense features, on CamVid by 1.5 '
    'mIoU (six seeds); ccmim by 1.7, and more by other measures',
}
_OTHER_FROM_WEIGHTS = (
    'as requested; the default is ccmim, which improved dense features'
)
_INIT = '--init timm:vit_small_patch14_dinov2.lvd142m'


def advice(
    method: str, photos: int, begins_from_weights: bool, has_anchor: bool = True
) -> list[str]:
    """Explain the chosen method, and when public weights are likely better.

    Args:
        method: That is taken.
        photos: How many there are.
        begins_from_weights: Whether the run begins from weights.
        has_anchor: Whether it is held to them.

    Returns:
        Lines.
    """
    why = _WHY.get(method, _OTHER)
    if begins_from_weights:
        why = _FROM_WEIGHTS.get(method, _OTHER_FROM_WEIGHTS)
    lines = [f'{method}, {why}']
    if begins_from_weights:
        if method not in UNANCHORED and not has_anchor:
            lines.append(
                'without an anchor MAE lost 4.8 mIoU on CamVid in our test, and '
                'MaskDistill 10.4: leave model.anchor as it is'
            )
        lines.append(
            'that is for frozen features; fine-tuned detectors and segmentors gained '
            'nothing in our tests: compare both weights with ccmim judge and transfer'
        )
    elif photos < _FEW:
        lines.append(
            f'{photos:,} photos are few: the smallest set for which pretraining helped '
            f'in our tests had {_FEW:,} (a detector, by 5.5 box AP). Public weights, '
            'trained on millions of photos, are likely better: evaluate them with '
            f'ccmim transfer, or start from them ({_INIT})'
        )
    else:
        lines.append(
            'public weights were trained on millions of photos: if yours are similar, '
            f'start from them ({_INIT}), and compare both with ccmim transfer'
        )
    return [line for text in lines for line in _broken(text)]


def _broken(text: str) -> list[str]:
    """Break a text into lines behind a name."""
    lines, start = [''], 'Method'.ljust(_WIDTH)
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) > 88 - _WIDTH:
            lines.append('')
        lines[-1] = f'{lines[-1]} {word}'.strip()
    first = start if text.partition(',')[0].isidentifier() else 'Advice'.ljust(_WIDTH)
    return [first + lines[0], *(' ' * _WIDTH + line for line in lines[1:])]
