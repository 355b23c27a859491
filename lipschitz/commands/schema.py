"""``lipschitz schema``: write the JSON Schema of sweep files, by which editors complete and check them."""

import json
from pathlib import Path

from lipschitz.files import write_text
from lipschitz.sweep.definition.axes import json_schema


def write_schema(out: Path | None) -> None:
    """Write the schema to the file ``out``, or print it."""
    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)
