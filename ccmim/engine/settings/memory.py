"""Advice for when a GPU runs out of memory."""

from mmengine.config import Config

from ccmim.engine.settings.sizes import is_momentum


def less_memory(cfg: Config, least: int = 1) -> str:
    """Propose settings that need about half of the memory and train alike.

    Args:
        cfg: The config of the run.
        least: Images that a batch must have.

    Returns:
        A sentence for a person.
    """
    batch = (cfg.get('train_dataloader') or {}).get('batch_size', 1)
    wrapper = cfg.get('optim_wrapper') or {}
    if batch <= least:
        return (
            f'with batch_size={batch} only a smaller model or image helps, or '
            'model.backbone.with_cp=True, which computes the blocks twice'
        )
    half = range(max(least, batch // 2), 0, -1)
    smaller = next(n for n in half if batch % n == 0)
    count = wrapper.get('accumulative_counts', 1) * batch // smaller
    momentum = is_momentum(cfg.model.get('teacher'))
    teacher = f' and model.teacher.interval={count}' if momentum else ''
    text = (
        f'train_dataloader.batch_size={smaller} with '
        f'optim_wrapper.accumulative_counts={count}{teacher} keeps the same effective '
        'batch'
    )
    if 'contrast' in cfg.model:
        text += ' (with fewer keys for the contrast)'
    if wrapper.get('type') == 'OptimWrapper' or wrapper.get('dtype') == 'float32':
        text += ', --amp needs less as well'
    return text
