"""A cached teacher gives what the teacher gives, and computes it once."""

import pytest
import torch
from mmengine.config import Config

from ccmim.engine.launch import build_runner
from ccmim.engine.settings import check_recurrence, recurrence
from ccmim.teachers.cached_teacher import CachedTeacher
from ccmim.vit import VisionTransformer
from tests.short_runs import ROOT, record_losses, short_config

ARCH = dict(embed_dim=32, depth=2, num_heads=2)
WHOLE = {'train_dataloader.dataset.transform.0.scale': (1, 1)}
STILL = {**WHOLE, 'train_dataloader.dataset.transform.1.prob': 0.0}


@pytest.fixture
def part(tmp_path):
    """Make the config of a cached teacher with patches of 14 px."""

    def make(seed=0, **options):
        torch.manual_seed(seed)
        torch.save(VisionTransformer(ARCH, 56, 14).state_dict(), tmp_path / 't.pth')
        inner = dict(type='ccmim.ViTTeacher', checkpoint=str(tmp_path / 't.pth'))
        return dict(teacher=inner, folder=str(tmp_path / 'kept'), **options)

    return make


def _counted(teacher):
    seen, forward = [], teacher.teacher.forward
    teacher.teacher.forward = lambda x: seen.append(len(x)) or forward(x)
    return seen


def test_an_image_is_computed_once_and_another_one_is_never_taken_for_it(part, images):
    teacher = CachedTeacher(**part(), grid=(4, 4))
    expected, seen = teacher.teacher(images), _counted(teacher)
    assert torch.equal(teacher(images), expected)
    assert torch.equal(teacher(images[[2, 0]]), expected[[2, 0]])
    again = CachedTeacher(**part(), grid=(4, 4))  # such as that of a resumed run
    seen_again = _counted(again)
    assert torch.equal(again(images.flip(0)), expected.flip(0))
    assert (seen, seen_again) == ([4], [])
    file = min((teacher.folder).iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b'x')  # damaged
    for changed in (images, images.flip(3), images[:, :, :48, :48], images + 1e-6):
        assert torch.equal(again(changed), again.teacher.forward(changed))
    with torch.autocast('cpu', torch.bfloat16):
        again(images)
    other = CachedTeacher(**part(seed=1), grid=(4, 4))
    assert not torch.allclose(other(images), expected)
    assert len(seen_again) == 2 * 4 + 1
    assert len([*teacher.folder.iterdir()]) == 4 * 6
    assert teacher.state_dict() == {}
    assert [*teacher.parameters()] == []


@torch.autocast('cpu', torch.bfloat16)
def test_half_the_space_and_a_folder_that_is_full(part, images):
    full = 3 * 16 * 32 * 2 / 1e9  # of three images, which take a little more
    teacher = CachedTeacher(**part(dtype='float16', gigabytes=full), grid=(4, 4))
    expected = teacher.teacher(images).half().float()
    seen = _counted(teacher)
    for count in (3, 4, 4, 3):
        assert torch.equal(teacher(images[:count]), expected[:count])
    assert seen == [3, 4, 4]
    assert len([*teacher.folder.iterdir()]) == 3


def test_losses_are_those_without_it_and_a_resumed_run_continues(
    part, image_folder, tmp_path
):
    def train(name, **changes):
        changes = {
            **{
                'model.teacher': dict(part()['teacher'], _delete_=True),
                'train_cfg.max_epochs': 2,
            },
            **{'model.sampler.min_area': 2, **STILL, **changes},
        }
        config = short_config(
            'small/maskdistill_vitt', tmp_path / name, image_folder, changes
        )
        runner = build_runner(config)
        losses, teacher = record_losses(runner), runner.model.teacher
        seen = _counted(teacher) if isinstance(teacher, CachedTeacher) else None
        runner.train()
        return losses, seen

    kept = {'model.teacher': dict(type='CachedTeacher', _delete_=True, **part())}
    plain, _ = train('plain')
    cached, seen = train('cached', **kept)
    assert cached == plain
    assert seen.count(2) == len(plain) / 2  # and once for a picture
    (tmp_path / 'cached' / 'epoch_2.pth').unlink()
    (tmp_path / 'cached' / 'last_checkpoint').unlink()
    resumed, seen = train('cached', **kept, resume=True)
    assert (resumed, seen) == (plain[len(plain) // 2 :], [])


def test_what_never_recurs_is_refused_before_the_run(part, monkeypatch):
    for leaf, keys in (
        ('small/maskdistill_vitt', 'set train_dataloader.dataset.transform.0.scale='),
        ('small/relational_distill_vitt', 'model.mix=False model.perturbation=\\[\\]'),
    ):
        cfg = Config.fromfile(ROOT / f'mm_configs/{leaf}.py')
        check_recurrence(cfg)
        cfg.model.teacher = dict(type='CachedTeacher', **part())
        with pytest.raises(ValueError, match=keys):
            check_recurrence(cfg)
        cfg.merge_from_dict(WHOLE)
        cfg.merge_from_dict({'model.mix': False, 'model.perturbation': []})
        check_recurrence(cfg)
    told = []
    monkeypatch.setattr(recurrence, 'print_log', lambda text, *_: told.append(text))
    cfg.train_dataloader.dataset.transform.insert(1, dict(type='RandAugment'))
    check_recurrence(cfg)
    assert [text[:50] for text in told] == [
        'train_dataloader.dataset.transform.1: where RandAu'
    ]
