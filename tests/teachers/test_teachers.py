"""Teachers: any model of timm or of ours, frozen, on the student's grid, offline."""

import pytest
import timm
import torch
import torch.nn.functional as F

from ccmim.checkpoints import Weights, architecture_of, write_weights
from ccmim.checkpoints.normalization import Pixels
from ccmim.masking import ClassAttentionScorer
from ccmim.teachers import TimmTeacher, ViTTeacher, normalize_features
from ccmim.teachers.frozen import resize_images
from ccmim.vit import VisionTransformer
from tests import tiny_methods

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
ARCH = dict(embed_dim=32, depth=2, num_heads=2)
TINY_VIT = dict(type='ccmim.VisionTransformer', arch=ARCH)


@pytest.fixture(scope='module')
def timm_file(tmp_path_factory):
    """The weights of a small ViT as timm saves them."""
    torch.manual_seed(7)
    file = tmp_path_factory.mktemp('teacher') / 'vit.pth'
    torch.save(timm.create_model('test_vit').state_dict(), file)
    return str(file)


def test_weights_come_from_the_file(timm_file, images):
    """Features of the file's model, of images as that model normalizes them."""
    teacher = TimmTeacher('test_vit', (10, 10), checkpoint=timm_file)
    model = timm.create_model('test_vit').eval()
    model.load_state_dict(torch.load(timm_file))
    large = F.interpolate(images, (160, 160), mode='bicubic', antialias=True)
    theirs = (large * STD + MEAN - 0.5) / 0.5
    assert model.pretrained_cfg['mean'] == (0.5, 0.5, 0.5)
    expected = model.forward_features(theirs)[:, 1:]
    torch.testing.assert_close(teacher(images), expected, atol=1e-4, rtol=0)


def test_tokens_before_the_last_norm(timm_file, images):
    plain = TimmTeacher('test_vit', (4, 4), timm_file, final_norm=False)
    normed = TimmTeacher('test_vit', (4, 4), timm_file)
    norm = normed.frozen.network.norm
    torch.testing.assert_close(norm(plain(images)), normed(images))
    assert (plain(images) - normed(images)).abs().max() > 0.1


@pytest.mark.parametrize(
    ('model', 'size', 'width'),
    [('test_vit', 64, 64), ('test_resnet', 128, 96), ('test_convnext', 128, 64)],
)
def test_grid_is_the_students(model, size, width, images):
    teacher = TimmTeacher(model, (4, 4))
    assert teacher.size == [size, size]
    assert teacher(images).shape == (4, 16, width)
    assert teacher.out_dim == width


def test_features_stand_row_by_row(images):
    """A change of the patch in row 1, column 2 changes feature 6 the most."""
    teacher = TimmTeacher('test_resnet', (4, 4))
    changed = images.clone()
    changed[:, :, 16:32, 32:48] += 1
    distance = (teacher(changed) - teacher(images)).norm(dim=2)
    assert distance.argmax(1).tolist() == [6] * 4


def test_our_teacher_is_a_checkpoint_of_ours(tiny_mae, images, tmp_path):
    """A pretraining checkpoint, read as downstream tasks read it."""
    mae = tiny_mae()
    torch.save(dict(state_dict=mae.state_dict()), tmp_path / 'x.pth')
    teacher = ViTTeacher(TINY_VIT, (4, 4), str(tmp_path / 'x.pth'))
    expected = mae.backbone.encode(mae.backbone.embed(images))[:, 1:]
    torch.testing.assert_close(teacher(images), expected)
    assert ViTTeacher(TINY_VIT, (2, 2), str(tmp_path / 'x.pth')).size == [32, 32]


def test_a_teacher_is_frozen_and_unseen(images):
    """Evaluation mode for good, no gradient, nothing to optimize or save."""
    teacher = TimmTeacher('test_resnet', (4, 4)).train()
    network = teacher.frozen.network
    assert not any(m.training for m in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert list(teacher.parameters()) == []
    assert teacher.state_dict() == {}
    assert not teacher(images.requires_grad_()).requires_grad


def test_a_teacher_follows_to_another_precision(images):
    teacher = TimmTeacher('test_vit', (4, 4))
    wide = teacher(images).double()
    assert teacher.double()(images.double()).dtype == torch.float64
    torch.testing.assert_close(teacher(images.double()), wide, atol=1e-4, rtol=0)


def test_normalized_features():
    features = normalize_features(torch.randn(5, 7, 64) * 3 + 2)
    torch.testing.assert_close(features.mean(2), torch.zeros(5, 7), atol=1e-5, rtol=0)
    variance = features.var(2, correction=0)
    torch.testing.assert_close(variance, torch.ones(5, 7), atol=1e-4, rtol=0)


def test_no_weights_no_training():
    """Without being asked to, nothing is downloaded; the run stops before it starts."""
    for teacher in (TimmTeacher('test_vit', (4, 4)), ViTTeacher(TINY_VIT, (4, 4))):
        with pytest.raises(ValueError, match='teacher.checkpoint is not set'):
            teacher.init_weights()


def test_mistakes_are_named(timm_file, tmp_path):
    with pytest.raises(ValueError, match="teacher.model='vit_nano' is none of"):
        TimmTeacher('vit_nano', (4, 4))
    with pytest.raises(ValueError, match='does not fit test_resnet'):
        TimmTeacher('test_resnet', (4, 4), checkpoint=timm_file)
    with pytest.raises(ValueError, match='choose one'):
        TimmTeacher('test_vit', (4, 4), checkpoint=timm_file, pretrained=True)
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        TimmTeacher('test_vit', (4, 4), checkpoint=str(tmp_path / 'none.pth'))


def test_images_are_normalized_as_a_teachers_weights_ask(tiny_mae, images, tmp_path):
    """From what the student's images are normalized by."""
    vit = VisionTransformer(ARCH, 64).eval()
    pixels = Pixels((120.0, 110.0, 100.0), (70.0, 60.0, 50.0))
    weights = Weights(vit.state_dict(), architecture_of(vit), [], pixels)
    file = str(tmp_path / 'x.safetensors')
    write_weights(weights, file, 'safetensors')
    for mean, std in ((MEAN, STD), (torch.full((3, 1, 1), 0.5),) * 2):
        own = [(255 * x).flatten().tolist() for x in (mean, std)]
        prepare = dict(type='ImgDataPreprocessor', mean=own[0], std=own[1])
        part = dict(type='ccmim.FrozenScorer', checkpoint=file, _delete_=True)
        mae = tiny_mae(data_preprocessor=prepare, scorer=part)
        inner = dict(type='ccmim.ViTTeacher', checkpoint=file)
        kept = dict(type='ccmim.CachedTeacher', teacher=inner, folder=str(tmp_path))
        theirs = [torch.tensor(x).view(3, 1, 1) for x in pixels]
        theirs = (255 * (images * std + mean) - theirs[0]) / theirs[1]
        expected = vit.encode(vit.embed(theirs))[:, 1:]
        for part in (inner, kept):
            found = mae.build(part, grid=(4, 4), img_size=None)(images)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
        found = mae.scorer(mae.backbone, images)
        expected = ClassAttentionScorer([-1])(vit, theirs)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_a_teacher_of_another_patch_side_width_and_size(tmp_path, images):
    """Told by its weights alone; at a size of its own features are resampled."""
    arch = dict(embed_dim=64, depth=2, num_heads=4)
    vit = VisionTransformer(arch, 56, patch_size=14, reg_tokens=2)
    torch.save(vit.state_dict(), tmp_path / 'x.pth')
    teacher = ViTTeacher(grid=(4, 4), checkpoint=str(tmp_path / 'x.pth'))
    assert (teacher.size, teacher.out_dim) == ([56, 56], 64)
    small = resize_images(images, [56, 56])
    with torch.no_grad():
        expected = vit.eval().encode(vit.embed(small))[:, 1:]
    torch.testing.assert_close(teacher(images), expected)
    wide = ViTTeacher(grid=(4, 4), checkpoint=str(tmp_path / 'x.pth'), img_size=112)
    assert wide.frozen.network.grid == (8, 8)
    features = wide(images)
    assert features.shape == (4, 16, 64)
    with torch.no_grad():
        maps = wide.frozen.network(resize_images(images, [112, 112]))[0]
    maps = resize_images(maps, [4, 4])
    torch.testing.assert_close(features, maps.flatten(2).transpose(1, 2))
    with pytest.raises(ValueError, match='teacher.checkpoint is not set'):
        ViTTeacher(grid=(4, 4))
    part = dict(type='ViTTeacher', checkpoint=str(tmp_path / 'x.pth'))
    for name in ('maskdistill', 'relational_distill'):  # students of other patches
        method = tiny_methods.build(name, teacher=part)
        rows, columns = method.backbone.grid
        assert method.teacher.size == [14 * rows, 14 * columns]
        assert method.teacher(tiny_methods.batch(method)).shape[1] == rows * columns
