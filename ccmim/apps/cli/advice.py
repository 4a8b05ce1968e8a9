"""What is said before a pretraining begins: the method and why, and when not to."""

_WIDTH = 13  # of the names of lines
_FEW = 1595  # photos; the fewest with which we have seen pretraining pay
_STUDY = 'in our study (ViT-Ti, 10,000 small photos, five epochs)'
_AHEAD = 'in a linear probe, 52.7 against 50.3, at less than half the cost'
# What our study found (docs/study.md, docs/results.md), in a line for each method.
_WHY = {
    'mae': f'the default: {_STUDY} it was ahead of ccMIM {_AHEAD}',
    'ccmim': f'as published; {_STUDY} MAE was ahead of it {_AHEAD}',
}
_OTHER = 'asked for; --method mae is the default, as it was ahead of ccMIM in our study'
_INIT = '--init timm:vit_small_patch14_dinov2.lvd142m'


def advice(
    method: str, photos: int, begins_from_weights: bool, has_anchor: bool = False
) -> list[str]:
    """Say which method is taken and why, and when public weights are better.

    Args:
        method: That is taken.
        photos: How many there are.
        begins_from_weights: Whether the run begins from weights.
        has_anchor: Whether it is held to them.

    Returns:
        Lines.
    """
    lines = [f'{method}, {_WHY.get(method, _OTHER)}']
    if begins_from_weights:
        if not has_anchor:
            lines.append(
                'good weights lose dense features by this (44.9 to 24.6 mIoU in a test '
                "of ours): model.anchor=dict(type='GramAnchor') keeps them; judge by "
                'ccmim transfer, before and after'
            )
    elif photos < _FEW:
        lines.append(
            f'{photos:,} photos are few: {_FEW:,} are the fewest with which we have '
            'seen it help (a detector, by 5.5 box AP). Public weights, which have seen '
            'millions, are better here: give them to ccmim transfer as they are, or '
            f'begin from them ({_INIT})'
        )
    else:
        lines.append(
            'public weights have seen millions of photos: where yours are like those, '
            f'begin from them ({_INIT}), and compare both by ccmim transfer'
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
