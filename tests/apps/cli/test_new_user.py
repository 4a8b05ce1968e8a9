"""What a new user does: labels in any layout, weights by file, one command, a page."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.evaluation.resampling import read_samples
from ccmim.vit import VisionTransformer
from tests.apps.cli.conftest import photo

SIDE, BOX = 64, (8, 12, 40, 32)
X, Y, W, H = BOX
CORNERS = [X, Y, X + W, Y, X + W, Y + H, X, Y + H]
SPLITS = {'train': ('a', 'b', 'c'), 'val': ('d', 'e')}


def coco(root):
    for split, names in SPLITS.items():
        images, objects = [], []
        for i, name in enumerate(names, 1):
            photo(root / split / f'{name}.jpg', i, SIDE)
            sizes = dict(width=SIDE, height=SIDE)
            images.append(dict(id=i, file_name=f'{name}.jpg', **sizes))
            objects.append(dict(id=i, image_id=i, category_id=1, bbox=BOX))
            objects[-1].update(segmentation=[CORNERS])
        categories = [dict(id=1, name='square')]
        content = dict(images=images, annotations=objects, categories=categories)
        (root / 'annotations').mkdir(exist_ok=True)
        (root / f'annotations/{split}.json').write_text(json.dumps(content))


def yolo(root):
    for split, names in SPLITS.items():
        (root / 'labels' / split).mkdir(parents=True)
        for i, name in enumerate(names):
            photo(root / f'images/{split}/{name}.jpg', i, SIDE)
            box = [v / SIDE for v in (X + W / 2, Y + H / 2, W, H)]
            line = ' '.join(map(str, [0, *box]))
            (root / f'labels/{split}/{name}.txt').write_text(line)
    (root / 'data.yaml').write_text('names: [square]\n')


def voc(root):
    for folder in ('Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    corners = dict(xmin=X + 1, ymin=Y + 1, xmax=X + W, ymax=Y + H)
    box = ''.join(f'<{key}>{value}</{key}>' for key, value in corners.items())
    for split, names in SPLITS.items():
        (root / f'ImageSets/Main/{split}.txt').write_text('\n'.join(names))
        for i, name in enumerate(names):
            photo(root / f'JPEGImages/{name}.jpg', i, SIDE)
            (root / f'Annotations/{name}.xml').write_text(
                f'<annotation><filename>{name}.jpg</filename><object>'
                f'<name>square</name><bndbox>{box}</bndbox></object></annotation>'
            )


def labelme(root):
    points = np.reshape(CORNERS, (4, 2)).tolist()
    shapes = [dict(label='square', shape_type='polygon', points=points)]
    for split, names in SPLITS.items():
        for i, name in enumerate(names):
            photo(root / split / f'{name}.jpg', i, SIDE)
            content = dict(shapes=shapes, imagePath=f'{name}.jpg')
            (root / split / f'{name}.json').write_text(json.dumps(content))


def cvat(root):
    corners = f'{X},{Y};{X + W},{Y};{X + W},{Y + H};{X},{Y + H}'
    images = ''
    for i, name in enumerate('abcdefgh'):
        photo(root / f'images/{name}.jpg', i, SIDE)
        images += (
            f'<image id="{i}" name="{name}.jpg" width="{SIDE}" height="{SIDE}">'
            f'<polygon label="square" points="{corners}"/></image>'
        )
    text = f'<annotations><version>1.1</version>{images}</annotations>'
    (root / 'annotations.xml').write_text(text)


def maps(root, splits=SPLITS):
    classes = np.zeros((SIDE, SIDE), np.uint8)
    classes[Y : Y + H, X : X + W] = 1
    for split, names in splits.items():
        (root / 'masks' / split).mkdir(parents=True)
        for i, name in enumerate(names):
            photo(root / f'images/{split}/{name}.jpg', i, SIDE)
            Image.fromarray(classes).save(root / f'masks/{split}/{name}.png')


def cityscapes(root):
    classes = np.zeros((SIDE, SIDE), np.uint8)
    classes[Y : Y + H, X : X + W] = 13
    for split, names in SPLITS.items():
        for i, name in enumerate(names):
            ending = f'{split}/ulm/ulm_{name}'
            photo(root / f'leftImg8bit/{ending}_leftImg8bit.png', i, SIDE)
            file = root / f'gtFine/{ending}_gtFine_labelTrainIds.png'
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(classes).save(file)


def folders(root):
    for split, names in SPLITS.items():
        for i, name in enumerate(('cat', 'dog')):
            for j, letter in enumerate(names):
                photo(root / split / name / f'{letter}.jpg', 10 * i + j, SIDE)


LAYOUTS = dict(
    coco=(coco, ('box AP', 'mask AP')),
    yolo=(yolo, ('box AP',)),
    voc=(voc, ('box AP',)),
    labelme=(labelme, ('box AP', 'mask AP')),
    cvat=(cvat, ('box AP', 'mask AP')),
    maps=(maps, ('mIoU',)),
    cityscapes=(cityscapes, ('mIoU',)),
    folders=(folders, ('k-NN', 'linear', 'top-1')),
)
# The stages are forks of one process that has imported the libraries: an import takes
# longer than two steps. No gradient has been computed before a fork, as PyTorch wants.
FORKING = """
import os, runpy, subprocess, sys, traceback, types
from ccmim.apps.cli import main  # before mmdet, which looks for operators
import mmdet.apis, mmseg.apis
from ccmim.apps.compare import running

class Forked:
    def __init__(self, words, cwd, env, stdout, stderr):
        self.returncode, self.pid = None, os.fork()
        if self.pid:
            return
        code = 1
        try:
            os.chdir(cwd)
            os.environ.update(env)
            os.dup2(stdout.fileno(), 1)
            os.dup2(1, 2)
            sys.argv = words[3:]
            runpy.run_path(words[3], run_name='__main__')
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code if isinstance(code, int) else 1)
    def poll(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

running.subprocess = types.SimpleNamespace(
    Popen=Forked, STDOUT=subprocess.STDOUT, TimeoutExpired=subprocess.TimeoutExpired
)
sys.exit(main(sys.argv[1:]))
"""


def run(request, folder, script, words):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script, *words],
        cwd=folder,
        env={
            **os.environ,
            'PYTHONPATH': str(request.config.rootpath),
            'OMP_NUM_THREADS': '1',
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.downstream
def test_photos_with_maps_become_eomts_in_folds_and_a_graph(request, tmp_path):
    pytest.importorskip('mmseg')
    runtime = pytest.importorskip('onnxruntime')
    vit = VisionTransformer(dict(embed_dim=96, depth=4, num_heads=2), 64)
    torch.save(vit.state_dict(), tmp_path / 'weights.pth')
    maps(tmp_path / 'maps', {'': 'abcd'})  # without a split
    words = ['transfer', 'weights.pth', '--num-heads', '2', '--data', 'maps']
    words += ['--heads', 'eomt', '--fast', '--steps', '2', '--jobs', '1']
    words += ['--folds', '2']
    file = 'out/checkpoint_seed0/maps_eomt_fold1of2/iter_2.pth'
    export = ['export', file, '--to', 'onnx', '--whole', '--out', 'maps.onnx']
    script = FORKING.replace('main(sys.argv[1:])', f'main(words) or main({export})')
    script = script.replace('class Forked', 'words = sys.argv[1:]\nclass Forked')
    said = run(request, tmp_path, script, [*words, '--out', 'out'])
    assert 'EoMT, no split: tested in 2 folds\n' in said
    assert f'over all folds; this is the model of the first\n    {file}\n' in said
    assert f'ccmim export {file} --to onnx --whole' in said
    assert said.count('maps_eomt: 4 test images.') == 1
    for arm in ('random', 'checkpoint'):
        parts = tmp_path.glob(f'out/{arm}_seed0/maps_eomt_fold?of2/images.npz')
        pairs = sum(read_samples(part)['mIoU'].pairs.sum(0) for part in parts)
        found = np.diag(pairs)
        iou = 100 * (found / (pairs.sum(0) + pairs.sum(1) - found)).mean()
        assert f'| {arm} | {iou:.1f} |' in said, 'as one test of all images'
    lead = [line for line in said.splitlines() if line.startswith('| checkpoint | ')][1]
    assert re.fullmatch(r'.* [+-][.\d]+ \[[+-][.\d]+, [+-][.\d]+\] \|', lead)
    page = (tmp_path / 'out/report.html').read_text()
    assert 'maps of classes, 2 classes: EoMT, 4 test images in 2 folds' in page
    assert 'maps_eomt: a.jpg' in page, 'truth and predictions of the first fold'
    assert 'masks and attention of the surest queries' in page
    assert 'what was taken for what, per cent of pixels' in page
    session = runtime.InferenceSession(str(tmp_path / 'maps.onnx'))
    images = np.random.default_rng(0).uniform(0, 255, (3, 3, 256, 256))
    (classes,) = session.run(None, {'images': images.astype(np.float32)})
    assert classes.shape == (3, 256, 256)
    assert set(np.unique(classes)) <= {0, 1}


@pytest.mark.slow
@pytest.mark.downstream
def test_labels_in_every_layout_one_command_and_a_page(request, tmp_path):
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    arch = dict(embed_dim=96, depth=4, num_heads=2)
    vit = VisionTransformer(arch, 56, 14, pos_embed='learned', layer_scale_init=0.1)
    torch.save(vit.state_dict(), tmp_path / 'weights.pth')
    for name, (make, _) in LAYOUTS.items():
        make(tmp_path / name)
    words = ['transfer', 'weights.pth', '--num-heads', '2', '--data', *LAYOUTS]
    words += ['--fast', '--steps', '2', '--jobs', '1', '--out', 'out', '--finetune']
    tuned = 'out/checkpoint_seed0/folders/epoch_1.pth'
    predict = ['predict', tuned, 'folders/val', '--out', 'seen']
    script = FORKING.replace('main(sys.argv[1:])', f'main(words) or main({predict})')
    script = script.replace('class Forked', 'words = sys.argv[1:]\nclass Forked')
    said = run(request, tmp_path, script, words)
    head, *lines = (tmp_path / 'seen/predictions.csv').read_text().splitlines()
    assert (head, len(lines)) == ('name,class,probability,cat,dog', 4)
    assert 'ccmim predict out/probes/folders/linear.pth folders --out' in said
    table = (tmp_path / 'out/table.md').read_text()
    head, _, *rows = [line for line in table.split('\n') if line.startswith('|')]
    wanted = {f'{name}: {m}' for name, (_, metrics) in LAYOUTS.items() for m in metrics}
    assert {cell.strip() for cell in head.split('|')} >= wanted
    assert [row.split('|')[1].strip() for row in rows[:2]] == ['random', 'checkpoint']
    assert 'not run' not in rows[0] + rows[1]
    page = (tmp_path / 'out/report.html').read_text()
    assert all(f'{name}: ' in page for name in LAYOUTS)
    for what in ('precision over recall', 'what was taken for what', 'by top-1'):
        assert what in page
    assert 'patches of 14 px are resampled to 16 px' in said
    assert 'Estimate     about ' in said
