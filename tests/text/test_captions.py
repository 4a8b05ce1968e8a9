"""Captions: what files say, which is drawn, and how words are numbered."""

import json
import sys

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from ccmim.data import SampleKey
from ccmim.text import CaptionedImages, WordPieces, read_captions
from ccmim.text.captions import class_sentences
from tests.processes import run

TRANSFORM = [dict(type='ccmim.ToUint8Tensor')]
LINES = ['a dog runs', 'A dog, running!', 'two cats sleep', '', 'a cat']


@pytest.fixture
def photos(tmp_path):
    """A folder of three photos of one gray each."""
    for i in range(3):
        Image.new('RGB', (8, 8), (40 * i,) * 3).save(tmp_path / f'{i}.png')
    return tmp_path


def _coco(file):
    said = [dict(image_id=7 + i // 2, caption=LINES[i]) for i in range(4)]
    images = [dict(id=7 + i, file_name=f'{i}.png') for i in range(3)]
    file.write_text(json.dumps(dict(images=images, annotations=said)))
    return file


def _table(file, separator):
    rows = [('number', 'caption', 'image')]
    rows += [(i, f'"{LINES[i]}"', f'{i // 2}.png') for i in range(4)]
    rows += [(4, '" "', '2.png')]
    file.write_text('\n'.join(separator.join(map(str, row)) for row in rows) + '\n')
    return file


@pytest.mark.parametrize('kind', ['csv', 'tsv', 'json'])
def test_files_of_captions(photos, kind, monkeypatch):
    """The third photo has none, one caption no words: they are left out."""
    file = photos / f'captions.{kind}'
    separator = '\t' if kind == 'tsv' else ','
    file = _coco(file) if kind == 'json' else _table(file, separator)
    expected, told = {'0.png': LINES[:2], '1.png': LINES[2:3]}, []
    monkeypatch.setattr(
        'ccmim.text.captions.log_message', lambda text, _: told.append(text)
    )
    assert read_captions(file) == expected
    said = f'1 of 3 images in {file} have no caption and are left out, such as 2.png'
    assert told == [said]
    data = CaptionedImages(photos, TRANSFORM, file)
    assert [list(texts) for texts in data.captions] == list(expected.values())
    drawn = [[data[SampleKey(0, v, i)] for v in range(20)] for i in range(2)]
    for i, samples in enumerate(drawn):
        assert {s['captions'] for s in samples} == {*LINES[2 * i : 2 * i + 2]} - {''}
        assert all(int(s['inputs'][0, 0, 0]) == 40 * s['data_samples'] for s in samples)
    again = [data[SampleKey(0, v, 0)]['captions'] for v in range(20)]
    assert again == [s['captions'] for s in drawn[0]]
    other = [data[SampleKey(1, v, 0)]['captions'] for v in range(20)]
    assert again != other


def test_a_caption_is_that_of_the_image_which_is_shown(photos):
    (photos / '0.png').write_bytes(b'no picture')
    data = CaptionedImages(photos, TRANSFORM, _table(photos / 'x.csv', ','))
    sample = data[SampleKey(0, 0, 0)]
    assert (sample['data_samples'], sample['captions']) == (1, 'two cats sleep')


def test_classes_are_put_into_sentences(tmp_path):
    for name in ('hot_dog', 'cat'):
        (tmp_path / name).mkdir()
        Image.new('RGB', (8, 8)).save(tmp_path / name / 'x.png')
    found = class_sentences(tmp_path, ['a {}', 'the {}!'], None)
    sentences = [['a cat', 'the cat!'], ['a hot dog', 'the hot dog!']]
    assert list(found.values()) == sentences
    data = CaptionedImages(tmp_path, TRANSFORM, templates=['a {}'])
    assert [data[i]['captions'] for i in range(2)] == ['a cat', 'a hot dog']


def test_train_and_test_are_apart(photos):
    rows = [f'{i:02}.png,photo {i}' for i in range(25)]
    for i in range(25):
        (photos / f'{i:02}.png').symlink_to(photos / '0.png')
    (photos / 'x.csv').write_text('\n'.join(['image,caption', *rows]))
    parts = {}
    for part in ('all', 'train', 'test'):
        data = CaptionedImages(photos, TRANSFORM, photos / 'x.csv', part=part)
        parts[part] = {texts[0] for texts in data.captions}
    assert parts['train'] | parts['test'] == parts['all']
    assert parts['train'] & parts['test'] == set()
    assert parts['test'] == {'photo 9', 'photo 19'}


def test_words_are_numbered(tmp_path):
    """Padding is 0; case is nothing; a caption without words is one unknown word."""
    words = WordPieces(num_words=64, context=5)
    words.learn(LINES)
    table = words(['A dog RUNS', 'a dog runs', '', 'two cats sleep and a dog runs'])
    assert table.shape == (4, 5)
    assert table[0].tolist() == table[1].tolist()
    assert table[2].tolist() == [1, 0, 0, 0, 0]
    assert (table[3] > 0).all()
    again = WordPieces(num_words=64, context=5)
    again.load_state_dict(words.state_dict())  # what a checkpoint keeps
    assert torch.equal(again(LINES), words(LINES))
    assert again.is_ready
    assert not WordPieces(num_words=64).is_ready


def test_the_vocabulary_is_no_matter_of_chance():
    """The same in every process, in whatever order the captions come."""
    code = (
        'import sys; from ccmim.text import WordPieces; w = WordPieces(60); '
        'w.learn(sys.argv[1:]); print(w.vocabulary.tolist())'
    )
    texts = [f'{a}{b} {b}{a}ing' for a in ('run', 'play', 'sw') for b in ('im', 'er')]
    other = run(sys.executable, '-c', code, *texts[::-1])
    words = WordPieces(60)
    words.learn(texts)
    assert other.stdout == f'{words.vocabulary.tolist()}\n'


def test_vocabularies_of_others(tmp_path):
    """BERT's list, and a file in which 0 is no padding."""
    bert = tmp_path / 'vocab.txt'
    bert.write_text('\n'.join(['[PAD]', '[UNK]', 'dog', 'a', '##s']) + '\n')
    assert WordPieces(5, 4, bert)(['A dogs x']).tolist() == [[3, 2, 4, 1]]
    bert.write_text('\n'.join(['dog', '[UNK]']) + '\n')
    assert WordPieces(3, 4, bert)(['dog x']).tolist() == [[1, 2, 0, 0]]
    with pytest.raises(ValueError, match='num_words=2 are fewer than the 3.*to 3'):
        WordPieces(2, 4, bert)
    bert.write_text('dog\n')
    with pytest.raises(ValueError, match='has no piece for unknown words'):
        WordPieces(3, 4, bert)
    (tmp_path / 'x.json').write_text('{')
    with pytest.raises(ValueError, match='x.json is no vocabulary'):
        WordPieces(3, 4, tmp_path / 'x.json')
    with pytest.raises(FileNotFoundError, match='No such vocabulary'):
        WordPieces(3, 4, tmp_path / 'none.txt')


def test_clips_vocabulary_by_its_name(tmp_path, monkeypatch):
    """Byte pairs without padding, from a file or a hub; 0 is the padding here."""
    pieces = {'a</w>': 0, 'd': 1, 'og</w>': 2, 'dog</w>': 3, 'o': 4, 'g</w>': 5}
    options = dict(unk_token='<|endoftext|>', end_of_word_suffix='</w>')
    merges = [('o', 'g</w>'), ('d', 'og</w>')]
    model = BPE({**pieces, '<|endoftext|>': 6}, merges, **options)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.save(str(tmp_path / 'tokenizer.json'))
    asked = []

    def download(owner_and_name, file):
        asked.append(owner_and_name)
        if owner_and_name != 'openai/clip':
            raise OSError(f'no {owner_and_name}\nlong story')
        return str(tmp_path / file)

    monkeypatch.setattr('huggingface_hub.hf_hub_download', download)
    for file in (tmp_path / 'tokenizer.json', 'hf:openai/clip'):
        words = WordPieces(8, 4, file)
        assert words(['A dog x', '']).tolist() == [[1, 4, 7, 0], [7, 0, 0, 0]]
        again = WordPieces(8, 4)
        again.load_state_dict(words.state_dict())  # needs neither
        assert torch.equal(again(['a dog']), words(['a dog']))
    assert asked == ['openai/clip']
    with pytest.raises(ValueError, match=r'hf:x/y: no tokenizer.json .* \(no x/y\): '):
        WordPieces(8, 4, 'hf:x/y')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a.png,b\n', "begins with 'a.png,b': its first line must name the columns"),
        ('image,caption\na.png,\n', 'has no caption with a word in it'),
        ('', 'first line must name the columns'),
        ('{"images": []}', "'annotations' is missing"),
        (
            '{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}',
            'a caption is of image_id 1, which no image has',
        ),
        (
            '{"images": [{"id": 1, "file_name": "0.png"}, '
            '{"id": 1, "file_name": "1.png"}], "annotations": []}',
            'several images have the id 1: give each its own',
        ),
        (
            '{"images": [{"id": 1, "file_name": "0.png"}], '
            '"annotations": [{"image_id": 1, "caption": 5}]}',
            'file_name and caption must be texts, not 5',
        ),
        ('[]', 'it must be a dict with lists called images and annotations'),
        ('{', 'is no file of captions'),
        ('[' * 100_000, 'is no file of captions: maximum recursion depth'),
        ('image,caption\n0.png,"a dog\n1.png,a cat\n', 'unexpected end of data'),
        ('image,caption\n0.png,caf\xe9\n', 'is no UTF-8: save it as UTF-8'),
        ('image,caption\n9.png,a cat\n', 'x.csv names .*9.png, which does not exist'),
    ],
)
def test_bad_files_are_named(photos, text, message):
    file = photos / ('x.json' if text[:1] in ('{', '[') else 'x.csv')
    file.write_bytes(text.encode('latin-1'))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        CaptionedImages(photos, TRANSFORM, file)


def test_bad_settings_are_named(photos):
    with pytest.raises(FileNotFoundError, match='No such file of captions'):
        CaptionedImages(photos, TRANSFORM, photos / 'none.csv')
    with pytest.raises(ValueError, match='or set train_dataloader.dataset.captions'):
        CaptionedImages(photos, TRANSFORM)
    with pytest.raises(ValueError, match='must have one {} for the class'):
        CaptionedImages(photos, TRANSFORM, templates=['a photo'])
    with pytest.raises(ValueError, match='has no vocabulary: set file'):
        WordPieces(64)(['a'])
    with pytest.raises(ValueError, match='no caption has a word'):
        WordPieces(64).learn(['', ' '])
