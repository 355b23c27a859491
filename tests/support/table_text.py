"""The text of a report's table, for tests."""

from lipschitz.report.tables.table import Table


def text_rows(table: Table) -> list[dict[str, str]]:
    """Return the text of each row by the full names of its columns."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows]
