"""CelebA."""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import PositiveInt

from lipschitz.datasets.base import ImageData
from lipschitz.datasets.images.crop import Framing, Resize
from lipschitz.datasets.images.decode import Pictures
from lipschitz.datasets.images.picture_files import fingerprint_of
from lipschitz.datasets.images.published import Archive, Published, readable


class CelebA(Published):
    """182,732 aligned faces, cut to 108x108 and resized to 64x64 RGB; the 19,962 of the test split are held out."""

    source = "Liu et al. 2015, arXiv:1411.7766; cut as in the DCGAN code of Taehoon Kim, 2016"
    instructions = (
        "it is published on Google Drive, for non-commercial research, and no script may fetch it: from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html put img_align_celeba.zip and the lists of the folders Anno "
        "and Eval into the folder celeba of the data root"
    )

    size: PositiveInt = 64
    """Height and width in pixels, to which the square in the middle is resized."""
    crop: PositiveInt = 108
    """Side of that square; the published images have 178x218 pixels."""
    resize: Resize = "bilinear"
    """PIL's filter."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    def files(self) -> Mapping[str, str | None]:
        """Return the folder of images and the lists."""
        lists = {archive.path: archive.md5 for archive in self.archives() if not archive.unpacks}
        return {f"{self.torchvision().base_folder}/img_align_celeba": None, **lists}

    def archives(self) -> tuple[Archive, ...]:
        """Return the archive of images and the lists; torchvision knows the MD5 of each, and of no single image."""
        theirs = self.torchvision()
        return tuple(
            Archive(f"{theirs.base_folder}/{file}", md5, (), unpacks=file.endswith(".zip"))
            for _, md5, file in theirs.file_list
        )

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load torchvision's folder below ``data_root``, by default ``data``; the validation split is left aside.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt.
        """
        root = self.verified(data_root)
        train, test = (self._pictures(root, split) for split in ("train", "test"))
        return ImageData.load(train, test, device)

    def _pictures(self, root: Path, split: str) -> Pictures:
        with readable(self.name(), root):
            dataset = self.torchvision()(root, split=split, target_type=[])
        folder = root / dataset.base_folder / "img_align_celeba"
        paths = [folder / file for file in dataset.filename]
        return Pictures(
            [str(path) for path in paths],
            lambda k: dataset[k][0],
            Framing(self.size, 3, self.resize, self.crop),
            fingerprint=fingerprint_of(paths),
        )
