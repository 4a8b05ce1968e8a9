r"""Draw the picture of the README: features of a pretrained network.

    python tools/website/picture.py WEIGHTS PHOTO [PHOTO ...] --out docs/look.jpg

From the top: the photos; features of the patches as colors, of one meaning in all
photos; the half of the patches that the class token attends to, masked; and the object,
as what the first principal component of a photo's features sets apart from its edges.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

import ccmim
from ccmim.masking import ClassAttentionScorer, TopKSampler
from ccmim.pictures.patch_colors import principal_axes, principal_colors
from ccmim.pictures.photos import normalized
from ccmim.pictures.tiles import letters

ROWS = ('photo', 'features', 'masked by attention', 'object')
GAP, LABEL = 4, 26  # pixels
MASKED_COLOR, VISIBLE_COLOR = np.array([38, 43, 51]), np.array([255, 176, 0])  # RGB


def read_photo(file: Path, side: int) -> np.ndarray:
    """Read the square in the middle of a photo, (side, side, 3)."""
    photo = Image.open(file).convert('RGB')
    width, height = photo.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    square = photo.crop((left, top, left + short, top + short))
    return np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))


def find_object(features: Tensor, grid: int, side: int) -> np.ndarray:
    """Mark the object of a photo by its features (N, D): a mask (side, side)."""
    centered = (features - features.mean(dim=0)).double()
    values = (centered @ principal_axes(centered, 1)).reshape(1, 1, grid, grid)
    values = F.interpolate(values, (side, side), mode='bicubic')[0, 0].numpy()
    mask = values > threshold_otsu(values)
    edge = np.concatenate([mask[0], mask[:, 0], mask[:, -1]])  # things stand below
    if edge.mean() > mask.mean():  # what is around things meets the edges more often
        mask = ~mask
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()


def draw_object(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Dim what is around an object, and put a box around it."""
    dimmed = (0.35 * photo + 0.65 * MASKED_COLOR).astype(np.uint8)
    picture = Image.fromarray(np.where(mask[:, :, None], photo, dimmed))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (columns[0], rows[0], columns[-1], rows[-1])
    ImageDraw.Draw(picture).rectangle(box, outline=tuple(VISIBLE_COLOR), width=3)
    return np.asarray(picture)


@torch.no_grad()
def draw(weights: str, files: list[Path], side: int, tile: int) -> Image.Image:
    """Draw all rows.

    Args:
        weights: What ``ccmim.get_model`` takes.
        files: The photos.
        side: Pixels at which the network sees them.
        tile: Pixels of a tile.
    """
    photos = np.stack([read_photo(file, side) for file in files])
    images = torch.from_numpy(photos).permute(0, 3, 1, 2)
    network = ccmim.get_model(weights, img_size=side).eval()
    (grid, _), patch = network.grid, network.patch_size
    features, masks = [], []
    for image in normalized(images, network).split(1):
        features.append(network.encode(network.embed(image))[:, network.num_prefix :])
        scores = ClassAttentionScorer(blocks=[-1])(network, image)
        masks.append(TopKSampler()(scores, 0.5).mask.reshape(grid, grid))
    tokens = torch.cat(features)
    (colors,) = principal_colors(tokens)
    colored = (255 * colors.reshape(-1, grid, grid, 3)).byte().numpy()
    masked = np.stack([m.numpy() for m in masks]).repeat(patch, 1).repeat(patch, 2)
    rows = [
        photos,
        colored,
        np.where(masked[..., None], MASKED_COLOR, photos).astype(np.uint8),
        np.stack(
            [
                draw_object(photo, find_object(one, grid, side))
                for photo, one in zip(photos, tokens, strict=True)
            ]
        ),
    ]
    step = tile + GAP
    sheet = Image.new(
        'RGB', (LABEL + step * len(files) - GAP, step * len(rows) - GAP), 'white'
    )
    for i, (name, row) in enumerate(zip(ROWS, rows, strict=True)):
        label = Image.new('RGB', (tile, LABEL - 6), 'white')
        middle = (tile // 2, (LABEL - 6) // 2)
        ImageDraw.Draw(label).text(middle, name, (95, 99, 104), letters(15), 'mm')
        sheet.paste(label.rotate(90, expand=True), (0, i * step))
        for j, picture in enumerate(row):
            small = Image.fromarray(picture).resize(
                (tile, tile), Image.Resampling.BICUBIC
            )
            sheet.paste(small, (LABEL + j * step, i * step))
    return sheet


def main() -> None:
    """Read the command line and write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('weights', help='file, timm:NAME or hf:OWNER/NAME')
    parser.add_argument('photos', nargs='+', type=Path, metavar='PHOTO')
    parser.add_argument('--out', type=Path, default=Path('look.jpg'))
    parser.add_argument('--side', type=int, default=448, help='that the network sees')
    parser.add_argument('--tile', type=int, default=190, help='pixels of a tile')
    args = parser.parse_args()
    picture = draw(args.weights, args.photos, args.side, args.tile)
    picture.save(args.out, quality=88, optimize=True)
    size = args.out.stat().st_size / 1000
    print(f'{args.out}: {picture.width} x {picture.height}, {size:.0f} kB')


if __name__ == '__main__':
    main()
