"""Find or download the weights of the FID's Inception network: a file given by the user, or the cache."""

from pathlib import Path
from urllib.error import URLError

import torch

from lipschitz.cache import cache_folder
from lipschitz.errors import InputError, MissingInput

SHA256 = "6726825d"
"""First hex digits of the file's SHA-256, as in its published name; torch.hub checks the download by them."""
NAME = f"pt_inception-2015-12-05-{SHA256}.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAME}"
SOURCE = "Inception network of Szegedy et al. 2015 (TensorFlow, 2015-12-05), as pytorch-fid publishes it"


def weights_file(given: Path | None) -> Path:
    """Return the file with the weights: ``given``, or the file in the cache. Nothing is downloaded.

    Raises:
        InputError: there is no such file; the message says where it was expected and how to get it.
    """
    path = given or cached_weights()
    if path.is_file():
        return path
    if given is not None:
        raise MissingInput(f"--inception-weights: no file {given}; {_HOW_TO_GET_IT}")
    raise MissingInput(f"no weights of the FID's Inception network at {path}; {_HOW_TO_GET_IT}")


def download_weights() -> Path:
    """Download the weights to the cache if they are not there; return the file.

    Raises:
        InputError: the download failed, the file has another SHA-256, or the cache folder cannot be written.
    """
    path = cached_weights()
    if path.is_file():
        return path
    try:
        torch.hub.download_url_to_file(URL, str(path), hash_prefix=SHA256)
    except (URLError, TimeoutError, ConnectionError) as error:
        raise InputError(
            f"cannot download {URL}: {error}; download it elsewhere and give --inception-weights"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; set XDG_CACHE_HOME to another folder") from error
    except RuntimeError as error:
        raise InputError(f"{URL} is not the published file: {error}; download it again") from None
    return path


def cached_weights() -> Path:
    """Return the path of the downloaded weights in the cache, whether the file exists or not."""
    return cache_folder("inception") / NAME


_HOW_TO_GET_IT = f"get it by 'lipschitz data inception', or give --inception-weights FILE ({URL})"
