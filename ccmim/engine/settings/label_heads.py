"""Check that the heads of a model have the classes of its labels."""

from collections.abc import Mapping
from typing import Any

from ccmim.labels import Report

HEADS = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')
# Of mmseg: edges and no classes; classes without the background.
_OTHERS = ('STDCHead', 'SideAdapterCLIPHead')


def check_heads(node: Any, number: int, path: str, report: Report) -> None:
    """Check the number of classes of the heads in a part of a config.

    Args:
        node: The part, such as the model.
        number: Classes of the labels.
        path: Of the part in the config, for messages.
        report: Gets the problems.
    """
    if isinstance(node, list | tuple):
        for i, part in enumerate(node):
            check_heads(part, number, f'{path}.{i}', report)
    elif isinstance(node, Mapping) and 'language_model' not in node:
        name = path.rstrip('.0123456789').rsplit('.', 1)[-1]
        got = node.get('num_classes', number)
        own = node.get('class_agnostic') or node.get('type') in _OTHERS
        if name in HEADS and got != number and not own:
            report.problem(
                f'{path}.num_classes={got}, but there are {number} classes: set it to '
                f'{number}'
            )
        if name in HEADS:
            _check_weights(node, number, path, report)
        for key in (*HEADS, 'roi_head'):
            check_heads(node.get(key), number, f'{path}.{key}', report)


def check_queries(
    model: Mapping[str, Any], things: int, stuff: int, report: Report
) -> None:
    """Check the classes of a panoptic head.

    Args:
        model: Its config.
        things: Classes that are counted.
        stuff: The others.
        report: Gets the problems.
    """
    head = model.get('panoptic_head') or {}
    for key, number in dict(num_things_classes=things, num_stuff_classes=stuff).items():
        if head.get(key, number) != number:
            report.problem(
                f'model.panoptic_head.{key}={head[key]}, but there are {number} '
                f'classes: set it to {number}'
            )


def _check_weights(
    head: Mapping[str, Any], number: int, path: str, report: Report
) -> None:
    for key in ('loss_decode', 'loss_cls'):
        losses = head.get(key) or ()
        for loss in losses if isinstance(losses, list | tuple) else [losses]:
            weights = loss.get('class_weight')
            # Of boxes, softmax has the background as one more.
            more = key == 'loss_cls' and not loss.get('use_sigmoid')
            if isinstance(weights, list | tuple) and len(weights) != number + more:
                what = f'{number} classes{" and the background" * more}'
                report.problem(
                    f'{path}.{key}.class_weight has {len(weights)} numbers, and there '
                    f'are {what}: give {number + more}'
                )
