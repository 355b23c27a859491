"""Where the weights of the FID's Inception network come from: a file of the user's, or the cache, once downloaded."""

from pathlib import Path
from urllib.error import URLError

import torch

from lipschitz.cache import cache_folder
from lipschitz.errors import InputError

SHA256 = "6726825d"
"""First hex digits of the file's SHA-256: what its published name tells, and what torch.hub checks it by."""
NAME = f"pt_inception-2015-12-05-{SHA256}.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAME}"
SOURCE = "Inception network of Szegedy et al. 2015 (TensorFlow, 2015-12-05), as pytorch-fid publishes it"


def weights_file(given: Path | None) -> Path:
    """Return the file of weights: the one ``given``, or the one in the cache. Nothing is downloaded.

    Raises:
        InputError: there is none; says where it would be looked for, and how to get it.
    """
    path = given or cached_weights()
    if path.is_file():
        return path
    if given is not None:
        raise InputError(f"--inception-weights: no file {given}; {_HOW}")
    raise InputError(f"no weights of the FID's Inception network at {path}; {_HOW}")


def download_weights() -> Path:
    """Download the weights to the cache unless they are there; return the file.

    Raises:
        InputError: the download failed or brought another file, or the cache folder cannot be written.
    """
    path = cached_weights()
    if path.is_file():
        return path
    try:
        torch.hub.download_url_to_file(URL, str(path), hash_prefix=SHA256)
    except (URLError, TimeoutError, ConnectionError) as error:
        raise InputError(f"cannot download {URL}: {error}; fetch it elsewhere, and give --inception-weights") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; set XDG_CACHE_HOME to another folder") from error
    except RuntimeError as error:
        raise InputError(f"{URL} is not the published file: {error}; fetch it again") from None
    return path


def cached_weights() -> Path:
    """Return where downloaded weights are kept, whether they are there or not."""
    return cache_folder("inception") / NAME


_HOW = f"get it by 'lipschitz data inception', or give --inception-weights FILE ({URL})"
