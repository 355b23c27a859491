"""What takes reading all of a data set to find out, found out once."""

import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

from lipschitz.cache import cache_folder
from lipschitz.files import write_json

_log = logging.getLogger(__name__)


def remembered(kind: str, identity: Any, find: Callable[[], Any]) -> Any:
    """Return what ``find`` does, a JSON value, or what it did before; a file in the cache folder keeps it.

    ``identity``, a JSON value too, must change whenever the answer might. What raises is not kept, and a file that
    cannot be read is written anew.
    """
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    path = cache_folder("datasets", kind) / f"{key}.json"
    try:
        return json.loads(path.read_text())["found"]
    except (OSError, ValueError, LookupError, TypeError):
        found = find()
    try:
        write_json(path, {"found": found})
    except OSError as error:
        # What was found counts all the same; the next process finds it again.
        _log.warning("cannot write %s: %s", path, error.strerror)
    return found
