"""Tables of the command line that fit the terminal: no word is cut in two. Where the columns do
not fit side by side, each row is written below the other, a line for each of its cells.

A cell that is a string is text, whoever has written it; one that has a style is a
:class:`rich.text.Text`."""

from __future__ import annotations

from collections.abc import Collection

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gateway.printable import in_a_line

BETWEEN = 2
"""Spaces between two columns."""


class Listing(Table):
    """``columns``: their headers; the first is never wrapped, so that a name can be copied, and
    neither are those of ``whole``, such as times and ids. One without any text is left out."""

    def __init__(self, *columns: str, whole: Collection[str] = ()) -> None:
        super().__init__(box=None, pad_edge=False, header_style="bold")
        for place, column in enumerate(columns):
            self.add_column(column, no_wrap=place == 0 or column in whole)

    def add_row(self, *cells: str | Text) -> None:  # type: ignore[override]  # no other renderable
        """A row; no string in it ends a line or is read as markup."""
        super().add_row(*map(_text, cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.columns = [
            column
            for place, column in enumerate(self.columns)
            if place == 0 or any(_text(cell).plain for cell in column.cells)
        ]
        widths = self._widths(console, options)
        if widths is None:
            yield from self._stacked(console)
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def _cells(self, console: Console) -> list[list[Text]]:
        """By column, the header first."""
        return [[_text(cell) for cell in (column.header, *column.cells)] for column in self.columns]

    def _widths(self, console: Console, options: ConsoleOptions) -> list[int] | None:
        """Of each column; ``None`` where the longest words do not fit side by side."""
        unlimited = options.update_width(10_000)
        measured = [
            [Measurement.get(console, unlimited, cell) for cell in cells]
            for cells in self._cells(console)
        ]
        most = [max(one.maximum for one in cells) for cells in measured]
        widths = [max(one.minimum for one in cells) for cells in measured]
        for place, column in enumerate(self.columns):
            if column.no_wrap:
                widths[place] = most[place]
        spare = options.max_width - sum(widths) - BETWEEN * (len(widths) - 1)
        if spare < 0:
            return None
        while spare and widths != most:
            for place, width in enumerate(widths):
                if spare and width < most[place]:
                    widths[place], spare = width + 1, spare - 1
        return widths

    def _stacked(self, console: Console) -> RenderResult:
        (_, *names), *others = self._cells(console)
        for row, name in enumerate(names, 1):
            name.stylize("bold")
            yield name
            for header, *cells in others:
                if cells[row - 1].plain:
                    named = Text("  ").append_text(header).append(": " if header.plain else "")
                    yield named.append_text(cells[row - 1])


def _text(cell: object) -> Text:
    return cell.copy() if isinstance(cell, Text) else Text(in_a_line(str(cell)))
