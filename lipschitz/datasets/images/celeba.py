"""CelebA: aligned faces of celebrities."""

from collections.abc import Mapping
from pathlib import Path

from lipschitz.config import Pixels
from lipschitz.datasets.images.crop import CropResize, Resize
from lipschitz.datasets.images.decode import LazyImages, fingerprint_of, open_image
from lipschitz.datasets.images.published import Archive, PublishedDataset, TrainTest


class CelebA(PublishedDataset):
    """182,732 aligned faces, cropped to 108x108 and resized to 64x64 RGB; the 19,962 of the test split are held out."""

    source = "Liu et al. 2015, arXiv:1411.7766; cut as in the DCGAN code of Taehoon Kim, 2016"
    instructions = (
        "it is published on Google Drive for non-commercial research, and no script may download it: from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html save img_align_celeba.zip and the lists in the folders Anno "
        "and Eval to the folder celeba of the data root"
    )

    size: Pixels = 64
    """Height and width in pixels; the middle square is resized to it."""
    crop: Pixels = 108
    """Side of the middle square in pixels; the published images have 178x218 pixels."""
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
        """Return the archive of images and the lists. torchvision has an MD5 of each, but none of a single image."""
        theirs = self.torchvision()
        return tuple(
            Archive(f"{theirs.base_folder}/{file}", md5, (), unpacks=file.endswith(".zip"))
            for _, md5, file in theirs.file_list
        )

    def read(self, root: Path) -> TrainTest:
        """Read the training and the test split; the validation split is not used."""
        return TrainTest(self._images(root, "train"), self._images(root, "test"))

    def _images(self, root: Path, split: str) -> LazyImages:
        dataset = self.open_torchvision(root, split=split, target_type=[])
        folder = root / dataset.base_folder / "img_align_celeba"
        paths = [folder / file for file in dataset.filename]
        return LazyImages(
            [str(path) for path in paths],
            lambda k: open_image(paths[k]),
            CropResize(self.size, 3, self.resize, self.crop),
            fingerprint=fingerprint_of(paths),
        )
