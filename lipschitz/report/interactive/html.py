"""The templates of the report's pages, and what the pages share: a policy that forbids every request to a network."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lipschitz.report.interactive.assets import library_scripts, own_scripts
from lipschitz.report.tables.markdown_and_latex import spans
from lipschitz.tasks.wording import floors

# Pictures beside the page are 'self', or file: for a page that is opened from a disk. Scripts are in the page itself.
_POLICY = (
    "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def environment() -> Environment:
    """Return the environment of the templates; ``grid`` in ``table.html.j2`` writes a table that sorts."""
    made = Environment(
        loader=PackageLoader("lipschitz.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "floors": floors(),
        "library_scripts": library_scripts,
        "own_scripts": own_scripts,
        "policy": Markup(_POLICY),
        "spans": spans,
    }
    return made
