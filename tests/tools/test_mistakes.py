"""A mistake in the words of any tool is one line that names the thing, and code 2."""

import json
import shlex

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.registry import MODELS
from tests.conftest import TINY_VIT, write_photos
from tests.tools.test_help import TOOLS

LOGGED = dict(loss=1.0, time=1.0, iter=1, step=1, epoch=1)
TOY = 'mm_configs/demo/upernet_toy.py'
SMALL = 'mm_configs/small'
RUN = 'visualize.py run.pth photos --out out --device cpu'
KNN = f'--config {SMALL}/knn_vitt_cifar10.py --train photos --test photos'
ROWS = f"""
analyze_logs.py plot_curve log.json --keys mAP | has no mAP; it has loss, time
analyze_logs.py plot_curve log.json --legend a b | --legend has 2 names: give 1
benchmark.py --precisions tf32 | tf32 needs a GPU: leave it out of --precisions
benchmark.py --levels files | --images
benchmark.py --levels files --images nowhere | nowhere does not exist
benchmark.py --peers nowhere | clone the published code into it
benchmark.py --rounds 0 | --rounds must be at least 1
benchmark.py --options progressive --steps 2 | must be a multiple of 3
benchmark.py --batch-sizes 1 | --batch-sizes must be at least 2
benchmark.py --cfg-options model.backbone.arch=none | arch='none' must be
benchmark_dense.py nowhere.py | config nowhere.py does not exist
benchmark_dense.py --precisions tf32 | tf32 needs a GPU
benchmark_dense.py --rounds 0 | must be at least 1
benchmark_dense.py {SMALL}/ccmim_vitt.py | is of no dense task
browse_dataset.py {SMALL}/mae_vitt.py -p val | has no val_dataloader.dataset
check_dataset.py none.py | none.py does not exist
check_dataset.py own.py --num 0 | --num 0 must be positive
check_dataset.py own.py --split val | no data for val
check_dataset.py own.py --out none/sheet.png | cannot write to
check_dataset.py own.py --out sheet.txt | must end in .png
check_env.py --nosuch | unrecognized arguments: --nosuch
check_images.py | the following arguments are required: DATA
check_images.py nowhere | No such folder, list file or tar
check_images.py notes | No images in
check_images.py photos --workers 0 | num_workers=0 must be a whole number
check_images.py photos --least-side -1 | least_side=-1 must be a whole
check_images.py photos --out no/x.txt | cannot write to
compare.py --arms random --tasks x=no.py --out c1 | config no.py does not exist
compare_commits.py nowherecommit -- true | no nowherecommit: fatal:
compare_steps.py nowherecommit x.py | no nowherecommit: fatal:
convert_checkpoint.py in.pth out.pth | width of 32 has no usual number of heads: give it
convert_checkpoint.py none.pth out.pth | none.pth does not exist
convert_checkpoint.py in.pth out.pth --from mmseg | of another layout than mmseg
convert_checkpoint.py in.pth out.pth --num-heads 5 | num_heads=5 must divide embed_dim
convert_checkpoint.py in.pth in.pth --num-heads 2 | there already: give --overwrite
convert_checkpoint.py in.pth out.pth --img-size 1 2 3 | a side, or height and width
demo.py missing.jpg {SMALL}/mae_vitt.py none.pth | missing.jpg
demo.py photos/part0 {SMALL}/mae_vitt.py none.pth | detection or segmentation
export_onnx.py none.pth out.onnx | none.pth does not exist
export_onnx.py in.pth out.pt | out.pt must end in .onnx
export_onnx.py in.pth old.onnx | old.onnx is there already: give --overwrite
export_onnx.py in.pth out.onnx --num-heads 2 --size 60 64 | img_size=[60, 64] must be
family.py nosuch | argument show: invalid choice
fuzz.py --files 0 | must be a whole number of at least 1
get_flops.py missing.py | config missing.py does not exist
knn.py no.pth {KNN} | checkpoint no.pth does not exist
knn.py --config no.py | config no.py does not exist
knn.py --config {SMALL}/mae_vitt_cifar10.py | no classes to learn: use a
knn.py {KNN} --block 12 | block=12 must lie in [0, 11]
knn.py {KNN} --cfg-options train | 'train' is not of the form KEY=VALUE
knn.py {KNN} --k 9 | k=9 must lie in [1, 8], the training images
knn.py {KNN} --k 5 -3 | --k -3 must be positive
knn.py {KNN} --k 5 0 | --k 0 must be positive
list_recipes.py nosuch | unrecognized arguments: nosuch
make_panoptic.py o1 --maps nowhere --objects nowhere | config nowhere does not exist
make_toy_scenes.py c --size 8 | must be a whole number from 32 on
mask_overlap.py no.pth --config {SMALL}/mae_vitt.py --data a b c | no.pth does not exist
mask_overlap.py no.pth --config {TOY} --data a b c | is no pretraining config
mutate.py nowhere.py --tests nowhere | nowhere is no folder or file of Python
patch_knn.py no.pth --config {TOY} | checkpoint no.pth does not exist
patch_knn.py --config no.py | config no.py does not exist
patch_knn.py --config {SMALL}/mae_vitt.py | segments nothing
patch_knn.py --config {TOY} --k 9999 | k=9999 must lie in [1,
plot_schedule.py nowhere.py | config nowhere.py does not exist
print_config.py {SMALL}/ccmim_vitt.py --cfg-options a.b=1 | unknown key a
print_options.py NoSuchName | NoSuchName is no registered class
quickstart.py --images nowhere | --images nowhere does not exist
report.py nothing | nothing is no folder
scale.py --images 1e4 -1 | must be a whole number of at least 1
scale.py --images ten | invalid number value
scale.py --workers -1 | --workers must be at least 0
scale.py --out notes/mine.txt/x | cannot write to notes/mine.txt/x
shrink_images.py nowhere o2 | No images in
soak.py --work-dir notes | notes holds other files
step_cost.py a.py | give NAME=CONFIG for each config
step_cost.py a=no.py | config no.py does not exist
step_cost.py a={SMALL}/upernet_vitt_camvid.py | pretrains nothing
study.py --arms nosuch | arguments are required: --budget
test.py nowhere.py nowhere.pth | config nowhere.py does not exist
train.py nowhere.py | config nowhere.py does not exist
visualize.py no.pth photos --out out | checkpoint no.pth does not exist
visualize.py run.pth nowhere --out out --device cpu | No such folder
{RUN} --what masks | masks need the --config of a pretraining run
{RUN} --what predictions | predictions need a detection or segment
{RUN} --config no.py | config no.py does not exist
{RUN} --config {SMALL}/simmim_vitt.py --what masks | is no checkpoint of
{RUN} --what attention --block 5 | block=5 must lie in [0, 0]
{RUN} --what tsne --num-map 2 | 2 images make no map
zero_shot.py nowhere.pth --data nowhere | checkpoint nowhere.pth does not exist
"""


@pytest.fixture(scope='module')
def place(request, tmp_path_factory):
    """A folder with a bit of everything."""
    place = tmp_path_factory.mktemp('place')
    (place / 'mm_configs').symlink_to(request.config.rootpath / 'mm_configs')
    write_photos(place / 'photos')
    write_toy_scenes(place / 'scenes', 6, 2, num_unlabeled=1)
    (place / 'log.json').write_text(json.dumps(LOGGED))
    (place / 'old.onnx').write_text('old')
    for name in ('notes', 'out'):
        (place / name).mkdir()
    (place / 'notes/mine.txt').write_text('mine')
    data = "dict(type='ccmim.UnlabeledImages', data='photos', transform=[])"
    (place / 'own.py').write_text(f'train_dataloader = dict(dataset={data})\n')
    torch.save({**MODELS.build(TINY_VIT).state_dict()}, place / 'in.pth')
    cfg = Config.fromfile(place / SMALL / 'ccmim_vitt.py')
    cfg.model.backbone.arch = dict(embed_dim=192, depth=1, num_heads=3)
    with DefaultScope.overwrite_default_scope('ccmim'):
        state = MODELS.build(cfg.model).state_dict()
    torch.save(dict(state_dict=state), place / 'run.pth')
    return place


@pytest.mark.parametrize('row', ROWS.strip().splitlines())
def test_a_mistake_is_one_line_and_nothing_is_written(
    row, place, monkeypatch, run_tool
):
    command, message = row.split(' | ')
    tool, *words = shlex.split(command)
    if tool in ('patch_knn.py', 'benchmark_dense.py'):
        pytest.importorskip('mmseg')
    monkeypatch.chdir(place)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setenv('CCMIM_TOY', str(place / 'scenes'))
    before = {file: file.stat().st_mtime_ns for file in place.rglob('*')}
    code, said, error = run_tool(tool, *words)
    *usage, line = error.splitlines()
    assert code == 2
    assert line.startswith(('error: ', f'{tool}: error: '))
    assert message in line
    assert not usage or usage[0].startswith('usage: ')
    assert 'Traceback' not in said + error
    assert {file: file.stat().st_mtime_ns for file in place.rglob('*')} == before


def test_each_tool_has_a_row():
    rows = {row.split('.py')[0] for row in ROWS.strip().splitlines()}
    assert rows == {tool.removesuffix('.py') for tool in TOOLS}
