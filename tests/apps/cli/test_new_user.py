"""What a new user does: labels in any layout, weights by file, one command, a page."""

import re

import numpy as np
import pytest
import torch

from ccmim.evaluation.resampling import read_samples
from ccmim.vit import VisionTransformer
from tests.labels.layouts import cityscapes, labelme, voc, yolo
from tests.labels.sets import HEIGHT, WIDTH, Folders, Maps, Objects, photo
from tests.processes import PYTHON, run


def cvat(root):
    """One file without a split, as CVAT exports a task."""
    images = ''
    for i, name in enumerate('abcdefgh'):
        photo(root / f'images/{name}.jpg', i)
        images += (
            f'<image id="{i}" name="{name}.jpg" width="{WIDTH}" height="{HEIGHT}">'
        )
        images += '<polygon label="square" points="8,9;30,9;30,25;8,25"/></image>'
    text = f'<annotations><version>1.1</version>{images}</annotations>'
    (root / 'annotations.xml').write_text(text)


LAYOUTS = dict(
    coco=(lambda root: Objects(root).write(), ('box AP', 'mask AP')),
    yolo=(lambda root: yolo(Objects(root)), ('box AP',)),
    voc=(lambda root: voc(Objects(root)), ('box AP',)),
    labelme=(lambda root: labelme(Objects(root)), ('box AP', 'mask AP')),
    cvat=(cvat, ('box AP', 'mask AP')),
    maps=(Maps, ('mIoU',)),
    cityscapes=(cityscapes, ('mIoU',)),
    folders=(Folders, ('k-NN', 'linear', 'top-1')),
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


def said_by(folder, script, words):
    done = run(*PYTHON, '-c', script, *words, cwd=folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_photos_with_maps_become_eomts_in_folds_and_a_graph(tmp_path):
    pytest.importorskip('mmseg')
    runtime = pytest.importorskip('onnxruntime')
    vit = VisionTransformer(dict(embed_dim=96, depth=4, num_heads=2), 64)
    torch.save(vit.state_dict(), tmp_path / 'weights.pth')
    Maps(tmp_path / 'maps', {'': 'abcd'})  # without a split
    words = ['transfer', 'weights.pth', '--num-heads', '2', '--data', 'maps']
    words += ['--heads', 'eomt', '--fast', '--steps', '2', '--jobs', '1']
    words += ['--folds', '2']
    file = 'out/checkpoint_seed0/maps_eomt_fold1of2/iter_2.pth'
    export = ['export', file, '--to', 'onnx', '--whole', '--out', 'maps.onnx']
    script = FORKING.replace('main(sys.argv[1:])', f'main(words) or main({export})')
    script = script.replace('class Forked', 'words = sys.argv[1:]\nclass Forked')
    said = said_by(tmp_path, script, [*words, '--out', 'out'])
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
def test_labels_in_every_layout_one_command_and_a_page(tmp_path):
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
    said = said_by(tmp_path, script, words)
    head, *lines = (tmp_path / 'seen/predictions.csv').read_text().splitlines()
    assert (head, len(lines)) == ('name,class,probability,tortoise,zebra', 4)
    best = '(probes/folders/linear|checkpoint_seed0/folders/epoch_1).pth'
    assert re.search(f'ccmim predict out/{best} folders --out', said)
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
