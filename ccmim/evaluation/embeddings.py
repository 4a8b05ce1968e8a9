"""Features of photos with their names: neighbors, near-duplicates, files.

n photos, N patches, D width.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ccmim.files import replacing, write_file

FORMATS = ('.csv', '.npy', '.parquet')
_AT_ONCE = 2**24  # similarities at a time


@dataclass(frozen=True)
class Embeddings:
    """Features of photos.

    Attributes:
        names: Of the photos, in the order of the features.
        features: Of shape (n, D), or (n, N, D) of the patches; on the host.
        left_out: Why photos could not be used, by name.
    """

    names: list[str]
    features: Tensor
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the photos."""
        return len(self.names)

    def nearest(self, photo: int, count: int = 10) -> list[tuple[str, float]]:
        """Find the photos that are most alike one of them.

        Args:
            photo: Its number.
            count: How many; all others where there are fewer.

        Returns:
            Names and similarities, the nearest first: cosines of the features without
            their mean, from -1 to 1.
        """
        units = self._units()
        alike = units @ units[photo]
        alike[photo] = -2
        top = alike.topk(min(count, len(self) - 1))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return [(self.names[i], value) for i, value in pairs]

    def duplicates(self, least: float = 0.95) -> list[tuple[str, str, float]]:
        """Find pairs of photos that are almost the same.

        Args:
            least: Similarity from which on, see ``nearest``.

        Returns:
            Both names and the similarity, the most alike first.
        """
        units, pairs = self._units(), []
        rows = max(1, _AT_ONCE // max(1, len(self)))
        for start in range(0, len(self), rows):
            alike = torch.triu(units[start : start + rows] @ units.T, start + 1)
            for i, j in (alike >= least).nonzero().tolist():
                pairs.append((self.names[start + i], self.names[j], alike[i, j].item()))
        return sorted(pairs, key=lambda pair: -pair[2])

    def save(self, file: str | Path) -> list[Path]:
        """Write names and features.

        Args:
            file: ``.csv`` and ``.parquet`` hold a row a photo; beside ``.npy`` stands
                the list of names, one a line.

        Returns:
            The files that were written.

        Raises:
            ValueError: If the format is another one, or a table for patches.
            ImportError: If ``.parquet`` is asked for without pyarrow.
            WriteError: If it cannot be written.
        """
        file = Path(file)
        check_format(file, self.features.ndim == 3)
        values = self.features.numpy()
        if file.suffix == '.npy':
            names = file.with_suffix('.txt')
            with replacing(file) as part, open(part, 'wb') as stream:
                np.save(stream, values)
            write_file(names, ''.join(f'{name}\n' for name in self.names))
            return [file, names]
        if file.suffix == '.csv':
            text = io.StringIO()
            writer = csv.writer(text, lineterminator='\n')
            writer.writerow(['name', *(f'f{i}' for i in range(values.shape[1]))])
            for name, row in zip(self.names, values, strict=True):
                writer.writerow([name, *(f'{value:.7g}' for value in row)])
            write_file(file, text.getvalue())
            return [file]
        import pyarrow as pa
        import pyarrow.parquet as pq

        flat = pa.array(values.reshape(-1))
        column = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        table = pa.table({'name': self.names, 'feature': column})
        with replacing(file) as part:
            pq.write_table(table, part)
        return [file]

    def _units(self) -> Tensor:
        if self.features.ndim == 3:
            raise ValueError('patches have no neighbors here: take another pool')
        features = self.features.float()
        # What all photos share says nothing: MAE's class tokens are nearly the same.
        if len(features) > 2:
            features = features - features.mean(0)
        return F.normalize(features, dim=1)


def check_format(file: Path, of_patches: bool) -> None:
    """Refuse a file that cannot hold features.

    Args:
        file: Where they should go.
        of_patches: Whether they are of patches.

    Raises:
        ValueError: If it cannot.
        ImportError: If a library is missing for it.
    """
    if file.suffix not in FORMATS:
        raise ValueError(f'{file} must end in one of {", ".join(FORMATS)}')
    if of_patches and file.suffix != '.npy':
        raise ValueError(f'{file}: features of patches go into a .npy file')
    if file.suffix == '.parquet':
        import pyarrow  # noqa: F401
