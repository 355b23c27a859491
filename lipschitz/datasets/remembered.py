"""What takes reading all of a data set to find out, found out once."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from lipschitz.cache import cache_folder
from lipschitz.files import write_json


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
    write_json(path, {"found": found})
    return found
