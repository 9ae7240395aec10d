"""Result files: the operator's own rows, unchanged, with four columns more."""

from __future__ import annotations

import re
import tempfile
import zipfile
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.correction import CUT_MARK
from domain.frames import BAD_ROWS, STATUSES, rows_schema
from files import result_workbooks
from files.layouts import Encoding, Layout
from files.reading import read
from files.result_workbooks import CUT_DETAIL, write_workbook
from files.results import STATUS_COLUMNS, Summary, write_bad_rows, write_result

Cells = list[str | None]
TEXTS = ["007", "NaN", "NULL", "1E5", "=2+2", "+1", "-1", "@x", 'say "x"', "a,b;c\td|e", "a\nb", "a\r\nb", "a\rb"]
TEXTS += [" x ", "שלום", "😀", "#N/A", "http://x.example", "true", "2030-01-31", "\u2028", "a&b", "<b>", "&lt;", "]]>"]


def rows(*lines: tuple[int, Cells], width: int = 2) -> pl.DataFrame:
    return pl.DataFrame([(number, *cells) for number, cells in lines], schema=rows_schema(width), orient="row")


def statuses(*lines: tuple[int, str, str | None]) -> pl.DataFrame:
    return pl.DataFrame([(*line, "Email", *[None] * 7) for line in lines], schema=STATUSES, orient="row")


def read_again(path: Path, *, titles: tuple[str, ...] = ()) -> tuple[Layout, pl.DataFrame]:
    table = read(path, file_name=path.name, titles=titles)
    return table.layout, table.rows


def test_a_csv_comes_back_in_its_own_style(tmp_path: Path) -> None:
    layout = Layout(format="csv", header=("Näme", "n;x"), encoding="utf-8-sig", separator=";", line_end="\r\n")
    path = tmp_path / "result.csv"

    write_result(
        rows((2, ["=2+2", None]), (4, ['a "b"', "c\nd"])),
        statuses((4, "Not sent", "x is empty; fill it in."), (2, "Sent", None)),
        layout=layout,
        path=path,
    )

    assert (
        path.read_bytes()
        == (
            '\ufeffNäme;"n;x";'
            "Sending Status;Status Detail;Channel;Sent At;Delivery;Delivery Detail;Delivery At;"
            "Opened At;Started At;Completed At\r\n"
            "=2+2;;Sent;;Email;;;;;;;\r\n"
            ";;;;;;;;;;;\r\n"
            '"a ""b""";"c\nd";Not sent;"x is empty; fill it in.";Email;;;;;;;\r\n'
        ).encode()
    )
    assert list(tmp_path.iterdir()) == [path]


CELL = (
    st.none() | st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
)
LINES = st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=6)


def _numbered(table: list[Cells], *, header_row: int, gap: int) -> list[tuple[int, Cells]]:
    """Rows as a reader gives them: with gaps, without those that look blank."""
    visible = [cells for cells in table if any(cell and cell.strip() for cell in cells)]
    shown: list[Cells] = [["first", "row"], *visible]
    return [(header_row + 1 + number * gap, cells) for number, cells in enumerate(shown)]


@settings(deadline=None, max_examples=50)
@given(
    LINES,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
    st.booleans(),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_every_cell_and_row_number_of_a_csv_survives(
    table: list[Cells], separator: str, line_end: str, encoding: Encoding, quotes_all: bool, shape: tuple[int, int]
) -> None:
    header_row, gap = shape
    layout = Layout("csv", ("first", "second"), header_row, encoding, separator, line_end, quotes_all)
    original = rows(*_numbered(table, header_row=header_row, gap=gap))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.csv"
        write_result(original, statuses((header_row + 1, "Sent", None)), layout=layout, path=path)
        found, again = read_again(path)

    assert again.select(original.columns).rows() == original.rows()
    assert found.header == (*layout.header, *STATUS_COLUMNS)
    assert (found.header_row, found.separator, found.encoding) == (header_row, separator, encoding)
    assert found.line_end == line_end


@settings(deadline=None, max_examples=30)
@given(LINES, st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))
def test_every_cell_and_row_number_of_a_workbook_survives(
    table: list[Cells], header_row: int, gap: int, first_column: int
) -> None:
    layout = Layout("xlsx", ("first", "second"), header_row, sheet="My list", first_column=first_column)
    original = rows(*_numbered(table, header_row=header_row, gap=gap))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.xlsx"
        write_result(original, statuses((header_row + 1, "Sent", None)), layout=layout, path=path)
        found, again = read_again(path)

    assert again.select(original.columns).rows() == original.rows()
    assert (found.sheet, found.header_row, found.first_column) == ("My list", header_row, first_column)


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_becomes_a_formula_a_number_or_a_link(text: str, tmp_path: Path) -> None:
    path = tmp_path / "result.xlsx"
    layout = Layout("xlsx", ("a", "b"), sheet="List")

    write_result(rows((2, [text, "x"])), statuses(), layout=layout, path=path)

    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert not [tag for tag in ("<f>", "<v>", "<hyperlink") if tag in sheet]


HOSTILE = [
    "_x0041_",
    "_x005F_",
    "_x004a_x0042_",
    "__x0041_",
    "_x00",
    "\x00",
    "\x01a\x1f",
    "\x0b",
    "\r",
    "\r\n",
    "</t>",
    " ",
    "\n ",
]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.sampled_from(HOSTILE + TEXTS), min_size=1, max_size=4).map("".join), min_size=1, max_size=8)
)
def test_what_a_workbook_cannot_hold_as_it_is_comes_back_as_it_was(texts: list[str]) -> None:
    """A control character would make the file unreadable; what looks like Excel's word for one is a text."""
    cells: list[Cells] = [["x", text] for text in texts]
    original = rows(*enumerate(cells, 2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.xlsx"
        write_result(original, statuses(), layout=Layout("xlsx", ("a", "b")), path=path)
        again = read_again(path)[1]

    assert again["c1"].to_list() == texts


@pytest.mark.parametrize("sign", ["\ufffe", "\uffff"])
def test_what_no_xml_can_hold_leaves_the_workbook_readable(sign: str, tmp_path: Path) -> None:
    layout = Layout("xlsx", ("a", "b"))

    write_result(rows((2, [f"a{sign}", "x"])), statuses(), layout=layout, path=tmp_path / "result.xlsx")

    assert read_again(tmp_path / "result.xlsx")[1]["c0"].to_list() == [f"a_x{ord(sign):04X}_"]


def test_rows_beyond_what_is_written_at_once_keep_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_workbooks, "ROWS_AT_ONCE", 3)
    path = tmp_path / "result.xlsx"
    count = 7
    cells: list[Cells] = [[str(number), "<" if number % 2 else None] for number in range(count)]
    original = rows(*enumerate(cells, 4))
    layout = Layout("xlsx", ("a", "b"), header_row=3, first_column=1)

    write_result(original, statuses(), layout=layout, path=path)

    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    last = chr(ord("B") + 1 + len(STATUS_COLUMNS))
    assert f'<dimension ref="B3:{last}{count + 3}"/>' in sheet
    assert f'<row r="{count + 3}"><c r="B{count + 3}"' in sheet
    assert read_again(path)[1]["c0"].to_list() == original["c0"].to_list()


def bad(*lines: tuple[int, str]) -> pl.DataFrame:
    return pl.DataFrame(lines, schema=BAD_ROWS, orient="row")


def test_bad_rows_of_a_csv_come_in_its_own_style(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    layout = Layout(format="csv", header=("Näme", "n;x"), encoding="utf-8-sig", separator=";", line_end="\r\n")
    original = rows((2, ["Anna", "1"]), (3, ["=2+2", None]), (7, ["007", "c\nd"]))

    write_bad_rows(original, bad((3, "Row 3: n is empty; fill it in."), (7, "Row 7: Bad.")), layout=layout, path=path)

    assert (
        path.read_bytes()
        == ('\ufeffNäme;"n;x";Problem\r\n=2+2;;"Row 3: n is empty; fill it in."\r\n007;"c\nd";Row 7: Bad.\r\n').encode()
    )
    assert list(tmp_path.iterdir()) == [path]


@settings(deadline=None, max_examples=40)
@given(LINES, st.sampled_from(["csv", "xlsx"]), st.integers(1, 3), st.data())
def test_bad_rows_come_back_as_they_were_uploaded(
    table: list[Cells], kind: Literal["csv", "xlsx"], header_row: int, data: st.DataObject
) -> None:
    """They are corrected in this file and uploaded again: what the operator leaves must be what it was."""
    layout = Layout(kind, ("first", "second"), header_row, sheet="My list" if kind == "xlsx" else None)
    original = rows(*_numbered(table, header_row=header_row, gap=3))
    chosen = data.draw(st.sets(st.sampled_from(original["row"].to_list()), min_size=1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"bad.{kind}"
        write_bad_rows(original, bad(*((row, f"Row {row}: x, y.") for row in sorted(chosen))), layout=layout, path=path)
        found, again = read_again(path)

    assert found.header == ("first", "second", "Problem")
    assert found.header_row == header_row
    assert again["c2"].to_list() == [f"Row {row}: x, y." for row in sorted(chosen)]
    kept = original.filter(pl.col("row").is_in(chosen))
    assert again.select("c0", "c1").rows() == kept.select("c0", "c1").rows()


def test_a_bad_row_that_had_to_be_cut_says_so(tmp_path: Path) -> None:
    """Uploaded again, the cut value would take the place of the whole one."""
    path = tmp_path / "bad.xlsx"
    original = rows((2, ["x" * 40_000, "y"]))

    write_bad_rows(original, bad((2, "Row 2: Bad.")), layout=Layout("xlsx", ("a", "b")), path=path)

    assert read_again(path)[1]["c2"].to_list() == [f"Row 2: Bad. {CUT_DETAIL}"]


def test_a_repeated_download_adds_its_columns_again(tmp_path: Path) -> None:
    path = tmp_path / "result.csv"
    layout = Layout("csv", ("email", "Sending Status"))

    write_result(rows((2, ["a@b.com", "Sent"])), statuses((2, "Ready", None)), layout=layout, path=path)

    found, again = read_again(path)
    assert found.header == ("email", "Sending Status", *STATUS_COLUMNS)
    assert again.row(0)[:4] == (2, "a@b.com", "Sent", "Ready")


@pytest.mark.parametrize("letter", ["x", "😀"])
def test_a_text_too_long_for_excel_is_cut_with_a_word(letter: str, tmp_path: Path) -> None:
    """Excel would call the file damaged; it counts an emoji as two."""
    path = tmp_path / "result.xlsx"
    layout = Layout("xlsx", ("a", "b"), sheet="List")
    longest = letter * (32_766 * 2 // len(letter.encode("utf-16-le")))

    write_result(
        rows((2, [longest, None]), (3, [longest + "xx", None])),
        statuses((2, "Sent", None), (3, "Not sent", "No address.")),
        layout=layout,
        path=path,
    )

    again = read_again(path)[1]
    assert again["c0"][0] == longest
    assert again["c0"][1] == letter * (32_000 * 2 // len(letter.encode("utf-16-le"))) + CUT_MARK
    assert again["c3"].to_list() == [None, f"No address. {CUT_DETAIL}"]


def test_rows_beyond_a_sheet_go_to_further_sheets(tmp_path: Path) -> None:
    path = tmp_path / "result.xlsx"
    table = rows(*((number, [str(number), None]) for number in range(2, 9)))
    joined = table.join(statuses(), on="row", how="left")
    layout = Layout("xlsx", ("a", "b"), sheet="A name as long as Excel allows..")

    write_workbook(joined, ("a", "b", *STATUS_COLUMNS), layout=layout, path=path, last_row=4)

    with zipfile.ZipFile(path) as archive:
        book = archive.read("xl/workbook.xml").decode()
        sheets = [archive.read(f"xl/worksheets/sheet{number}.xml").decode() for number in (1, 2, 3)]
    assert 'name="A name as long as Excel all (2)"' in book
    assert 'name="A name as long as Excel all (3)"' in book
    assert [sheet.count("<row ") for sheet in sheets] == [4, 4, 2]
    assert [re.findall(r'r="(A[234])"[^>]*><is><t>(\d)<', sheet) for sheet in sheets] == [
        [("A2", "2"), ("A3", "3"), ("A4", "4")],
        [("A2", "5"), ("A3", "6"), ("A4", "7")],
        [("A2", "8")],
    ]


def test_the_summary_has_facts_counts_and_a_chart(tmp_path: Path) -> None:
    path = tmp_path / "result.xlsx"
    table = rows(*((number, [str(number), None]) for number in (2, 3, 5)))
    told = statuses((2, "Sent", None), (3, "Not sent", "x"), (5, "Sent", None))
    facts = Summary(facts=(("Batch", "=January"), ("Process", "Motor")))

    write_result(table, told, layout=Layout("xlsx", ("a", "b"), sheet="Summary"), path=path, summary=facts)

    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet2.xml").decode()
        assert 'name="Summary (2)"' in archive.read("xl/workbook.xml").decode()
        assert "'Summary (2)'!$B$5:$B$6" in archive.read("xl/charts/chart1.xml").decode()
    assert "=January" in sheet
    assert "<f>" not in sheet
    assert sheet.index(">Sent<") < sheet.index("<v>2</v>") < sheet.index(">Not sent<") < sheet.index("<v>1</v>")


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "result.csv"
    path.write_text("old")
    layout = Layout("csv", ("a",))

    with pytest.raises(pl.exceptions.PolarsError):
        write_result(rows((2, ["x", "y"])), statuses(), layout=layout, path=path)

    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_what_stood_above_the_header_stands_there_again(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"sep=;\r\nCustomers;\r\n\r\nname;email\r\nAnna;a@b.com\r\n")
    titles = ("name", "email")
    layout, original = read_again(tmp_path / "list.csv", titles=titles)

    write_result(original, statuses((4, "Sent", None)), layout=layout, path=tmp_path / "result.csv")

    written = (tmp_path / "result.csv").read_bytes()
    assert written.startswith(b"sep=;\r\nCustomers;\r\n\r\nname;email;Sending Status")
    again = read_again(tmp_path / "result.csv", titles=titles)[0]
    assert (again.header_row, again.above) == (3, layout.above)


def test_what_stood_above_the_header_of_a_sheet_stands_there_again(tmp_path: Path) -> None:
    layout = Layout(format="xlsx", header=("name", "email"), header_row=3, above=((1, ("Customers", "")),))
    original = pl.DataFrame([(4, "Anna", "a@b.com")], schema=rows_schema(2), orient="row")

    write_result(original, statuses((4, "Sent", None)), layout=layout, path=tmp_path / "result.xlsx")

    again = read_again(tmp_path / "result.xlsx", titles=("name", "email"))[0]
    assert (again.header_row, again.above) == (3, ((1, ("Customers", *[""] * (1 + len(STATUS_COLUMNS)))),))


def test_a_csv_in_an_older_encoding_comes_back_in_it(tmp_path: Path) -> None:
    layout = Layout(format="csv", header=("שם", "n"), encoding="cp1255")

    write_result(rows((2, ["דוד כהן", "1"])), statuses((2, "Sent", None)), layout=layout, path=tmp_path / "result.csv")

    assert (tmp_path / "result.csv").read_bytes().startswith("שם,n,Sending Status,".encode("cp1255"))
    assert "\r\nדוד כהן,1,Sent,".encode("cp1255") in (tmp_path / "result.csv").read_bytes()  # noqa: RUF001


def test_what_an_older_encoding_has_no_letter_for_is_not_lost(tmp_path: Path) -> None:
    layout = Layout(format="csv", header=("name", "n"), encoding="cp1252")

    write_result(
        rows((2, ["Müller", "1"])), statuses((2, "Failed", "no such box: 山田")), layout=layout, path=tmp_path / "r.csv"
    )

    assert "Müller,1,Failed,no such box: 山田" in (tmp_path / "r.csv").read_bytes().decode("utf-8-sig")


def test_rows_to_be_corrected_are_in_utf8_whatever_the_upload_was_in(tmp_path: Path) -> None:
    """A few rows of a list may not say in which encoding they are; the file could not be uploaded again."""
    layout = Layout(format="csv", header=("name", "n"), encoding="cp1252")
    sentences = pl.DataFrame([(2, "Row 2: n is empty; fill it in.")], schema=BAD_ROWS, orient="row")

    write_bad_rows(rows((2, ["Zoë", None])), sentences, layout=layout, path=tmp_path / "bad.csv")

    again, found = read_again(tmp_path / "bad.csv")
    assert again.encoding == "utf-8-sig"
    assert found["c0"].to_list() == ["Zoë"]
