"""A table as its readers see it, for tests."""

from lipschitz.report.tables.table import Table


def lines(table: Table) -> list[dict[str, str]]:
    """Return the text of each row by the whole names of its columns."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows]
