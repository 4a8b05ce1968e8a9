"""What to do when a GPU has too little memory."""

from mmengine.config import Config

from ccmim.engine.settings.sizes import is_momentum


def less_memory(cfg: Config) -> str:
    """Propose settings that need about half of the memory and train alike.

    Args:
        cfg: The config of the run.

    Returns:
        A sentence for a person.
    """
    batch = (cfg.get('train_dataloader') or {}).get('batch_size', 1)
    wrapper = cfg.get('optim_wrapper') or {}
    if batch == 1:
        return (
            'with batch_size=1 only a smaller model or image helps, or '
            'model.backbone.with_cp=True, which computes the blocks twice'
        )
    smaller = next(n for n in range(batch // 2, 0, -1) if batch % n == 0)
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
