"""One sheet of a SpreadsheetML workbook of 2003, as rows of texts.

The issuers' workbooks are not well-formed as a whole: byte-order marks twice, end tags that match
no start tag, bare ampersands in names. The sheet asked for is cut out and parsed alone. It may not
declare anything, so that there is no entity to expand.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from sources.errors import SchemaError
from sources.strict_csv import shown

_NAMESPACE = "urn:schemas-microsoft-com:office:spreadsheet"
_MOST_ROWS = 100_000
_MOST_CELLS = 100
_LONGEST_CELL = 1024


def sheet_rows(raw: bytes, name: str, source: str) -> list[list[str]]:
    """Return the rows of the sheet called ``name``, each a list of its cells' texts, stripped.

    Parameters
    ----------
    raw : the whole workbook.
    name : of the sheet.
    source : for messages.

    Raises
    ------
    SchemaError
        Where the workbook is cut off, has no such sheet or two, or the sheet is not well-formed,
        declares something, skips cells, or is larger than any sheet of a fund.
    """
    if not raw.rstrip().endswith(b"</ss:Workbook>"):
        raise SchemaError(
            source,
            expected="a workbook up to </ss:Workbook> (is the file cut off?)",
            found=shown(raw.rstrip()[-30:]),
        )
    opening = rb'<ss:Worksheet\s+ss:Name="' + re.escape(name.encode()) + rb'"\s*>'
    starts = [found.start() for found in re.finditer(opening, raw)]
    if len(starts) != 1:
        raise SchemaError(source, expected=f"one sheet {name}", found=str(len(starts)))
    end = raw.find(b"</ss:Worksheet>", starts[0])
    sheet = raw[starts[0] : end] + b"</ss:Worksheet>"
    if end < 0 or b"<!" in sheet or b"<?" in sheet:
        found = "no end" if end < 0 else "a declaration or an instruction"
        raise SchemaError(source, expected=f"a plain sheet {name}", found=found)
    return _Rows(source).parse(sheet)


class _Rows:
    """Rows as the parser meets them."""

    def __init__(self, source: str) -> None:
        self.rows: list[list[str]] = []
        self._source = source
        self._cell: list[str] | None = None

    def parse(self, sheet: bytes) -> list[list[str]]:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(b'<ss:Workbook xmlns:ss="%b">' % _NAMESPACE.encode(), False)
            parser.Parse(sheet, False)
            parser.Parse(b"</ss:Workbook>", True)
        except expat.ExpatError as error:
            raise self._refusal("a well-formed sheet", shown(str(error))) from None
        return self.rows

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if "ss:Index" in attributes:
            raise self._refusal("rows and cells without gaps", "an ss:Index")
        if name == "ss:Row":
            self.rows.append([])
        elif name == "ss:Cell":
            if not self.rows:
                raise self._refusal("cells in rows", "one before the first row")
            self.rows[-1].append("")
        elif name == "ss:Data":
            self._cell = []
        if len(self.rows) > _MOST_ROWS or (self.rows and len(self.rows[-1]) > _MOST_CELLS):
            raise self._refusal(f"at most {_MOST_ROWS} rows of {_MOST_CELLS} cells", "more")

    def _text(self, text: str) -> None:
        if self._cell is not None:
            self._cell.append(text)

    def _end(self, name: str) -> None:
        if name != "ss:Data" or self._cell is None:
            return
        text = "".join(self._cell).strip()
        self._cell = None
        if len(text) > _LONGEST_CELL:
            raise self._refusal(f"cells of at most {_LONGEST_CELL} characters", str(len(text)))
        if not self.rows or not self.rows[-1]:
            raise self._refusal("texts in cells", shown(text))
        self.rows[-1][-1] = text

    def _refusal(self, expected: str, found: str) -> SchemaError:
        row = len(self.rows) or None
        return SchemaError(self._source, row=row, expected=expected, found=found)
