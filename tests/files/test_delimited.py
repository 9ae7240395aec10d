"""Reading CSV: every cell exactly, or a refusal that says where and what to do."""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import FileErrorCode, FileProblem
from files import cutting, delimited
from files.delimited import read_delimited
from files.handover import mapped
from files.layouts import Layout, Limits

LIMITS = Limits()


def parsed(content: bytes, *, limits: Limits = LIMITS, titles: tuple[str, ...] = ()) -> tuple[Layout, pl.DataFrame]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        layout, rows = read_delimited(Path(file.name), file_name="list.csv", limits=limits, titles=titles)
    with rows:
        return layout, mapped(rows)


def rows(content: bytes) -> list[tuple[object, ...]]:
    return parsed(content)[1].rows()


def refusal(content: bytes, *, limits: Limits = LIMITS) -> FileProblem:
    with pytest.raises(FileProblem) as caught:
        parsed(content, limits=limits)
    assert str(caught.value).startswith("list.csv ")
    return caught.value


@pytest.mark.parametrize(
    "text", ["007", "NaN", "NULL", "1E5", "MAR1", "=2+2", "+44 7400", "-1", "@x", "#c", "שלום", "😀"]
)
def test_text_that_looks_odd_is_kept(text: str) -> None:
    assert rows(f"name,email\n{text},a@b.com\n".encode()) == [(2, text, "a@b.com")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
    ],
)
def test_separator_line_end_and_encoding_are_found(separator: str, end: str, encoding: str, mark: bytes) -> None:
    text = end.join(["name?email?note", 'Zoë?z@b.com?"1, 2; 3"', "", "Bo?b@b.com?"]).replace("?", separator)

    layout, found = parsed(mark + text.encode(encoding))

    assert layout.header == ("name", "email", "note")
    assert (layout.separator, layout.line_end) == (separator, end)
    assert layout.encoding == ("utf-8-sig" if mark == codecs.BOM_UTF8 else encoding)
    assert found.rows() == [(2, "Zoë", "z@b.com", "1, 2; 3"), (4, "Bo", "b@b.com", None)]


@pytest.mark.parametrize("quote", ["", '"'])
def test_rows_are_numbered_as_a_spreadsheet_shows_them(quote: str) -> None:
    """Blank lines above, between and below count, and so does a record of several lines, once."""
    text = f"\n ,\nname,email\n\n{quote}A{quote},a@b.com\n,\n \n{quote}B{quote},b@b.com\n\n\n"

    layout, found = parsed(text.encode())

    assert layout.header_row == 3
    assert found.rows() == [(5, "A", "a@b.com"), (8, "B", "b@b.com")]


def test_a_line_end_inside_quotes_belongs_to_its_cell() -> None:
    content = b'name,email\r\n"A\r\nB\nC\rD",a@b.com\r\nE,e@b.com\r\n'

    assert rows(content) == [(2, "A\r\nB\nC\rD", "a@b.com"), (3, "E", "e@b.com")]


def test_short_rows_are_filled_and_surplus_blanks_are_dropped() -> None:
    assert rows(b"a,b,c\n1\n1,2,3,,\n1,2\n") == [(2, "1", None, None), (3, "1", "2", "3"), (4, "1", "2", None)]


def test_empty_and_quoted_empty_cells_are_both_null() -> None:
    assert rows(b'a,b,c\n"",,x\n') == [(2, None, None, "x")]


def test_a_quote_inside_an_unquoted_cell_is_a_quote() -> None:
    assert rows(b'a,b\n5" pipe,6"\n') == [(2, '5" pipe', '6"')]


def test_line_feeds_with_and_without_carriage_return_may_be_mixed() -> None:
    assert rows(b"a,b\r\n1,2\n3,4\r\n") == [(2, "1", "2"), (3, "3", "4")]


def test_a_doubled_carriage_return_is_one_line_end() -> None:
    assert rows(b"a,b\r\r\n1,2\r\r\n3,4\r\r\n") == [(2, "1", "2"), (3, "3", "4")]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_line_ends_of_all_kinds_may_be_mixed_where_each_row_is_whole(end: bytes) -> None:
    content = b"a,b" + end + b"1,2\r3,4\r\n5,6\n\r7,8" + end

    assert rows(content) == [(2, "1", "2"), (3, "3", "4"), (4, "5", "6"), (6, "7", "8")]


def test_a_quote_may_have_a_backslash_before_it_where_nothing_else_makes_sense() -> None:
    content = b'a,b\n"say \\"hi\\", ""Bo""","C:\\\\x\\n"\n\\N,5\\"\n'

    assert rows(content) == [(2, 'say "hi", "Bo"', "C:\\x\\n"), (3, "\\N", '5"')]
    assert rows(b'a,b\n"C:\\","\\\\x"\n') == [(2, "C:\\", "\\\\x")]


def test_backslashes_mend_no_other_fault() -> None:
    assert "after a closing quote in row 3" in str(refusal(b'a,b\n1,2\n"say \\"hi\\"",2\n"3"x,4\n'))
    assert "after a closing quote in row 1" in str(refusal(b'"a \\"b\\"",c\n1,2\n'))


def test_a_decimal_comma_does_not_make_the_comma_the_separator() -> None:
    assert parsed(b"name;premium;tax\nA;1,50;2,50\nB;2,50;3,50\n")[0].separator == ";"


def test_one_column_is_a_file_too() -> None:
    assert rows(b"email\na@b.com\n\nb@b.com") == [(2, "a@b.com"), (4, "b@b.com")]


def test_two_columns_of_one_name_are_read_as_they_are() -> None:
    assert parsed(b"email,email\n1,2\n")[0].header == ("email", "email")


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"\n\n , \n", FileErrorCode.EMPTY, "holds nothing"),
        (b"a,b\n", FileErrorCode.EMPTY, "no rows below its header"),
        (b"a,b\n,\n \n", FileErrorCode.EMPTY, "no rows below its header"),
        (b"a,b\n1,2\n3,4,5\n", FileErrorCode.UNREADABLE, "3 cells in row 3"),
        (b'a,b\n"1",2\n\n3,4,5\n', FileErrorCode.UNREADABLE, "3 cells in row 4"),
        (b'a,b\n1,2\n3,"4\n5,6\n', FileErrorCode.UNREADABLE, "in row 3 that is never closed"),
        (b'a,b\n1,2\n"3"x,4\n', FileErrorCode.UNREADABLE, "after a closing quote in row 3"),
        ("a,b\n1,2\n3,ü\n".encode("cp1252"), FileErrorCode.UNREADABLE, "row 3 has a letter that cannot be read"),
        ("名,b\n1,2\n".encode("shift-jis"), FileErrorCode.UNREADABLE, "CSV UTF-8"),
        (b"\xff\xfea\x00,\x00b\x00", FileErrorCode.EMPTY, "no rows below its header"),
        (b"\xff\xfea\x00,\x00b", FileErrorCode.UNREADABLE, "damaged"),
        (b"a,b\n1,2\n3\r4,5\n", FileErrorCode.UNREADABLE, "ends row 3 in another way"),
        (b"a,b\r1,2\r3\n4,5\r", FileErrorCode.UNREADABLE, "ends row 3 in another way"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8", FileErrorCode.UNREADABLE, "damaged"),
        (b"a,b\n1,\x00\n", FileErrorCode.NOT_CSV_OR_EXCEL, "neither a CSV file nor an Excel workbook"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", FileErrorCode.NOT_CSV_OR_EXCEL, "neither"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", FileErrorCode.NOT_CSV_OR_EXCEL, "neither"),
        (b"<html><table><tr><td>a</td></tr></table>", FileErrorCode.NOT_CSV_OR_EXCEL, "a web page or XML"),
        (b"\xef\xbb\xbf <?xml version='1.0'?><Workbook/>", FileErrorCode.NOT_CSV_OR_EXCEL, "a web page or XML"),
        ("<html><table>".encode("utf-16"), FileErrorCode.NOT_CSV_OR_EXCEL, "a web page or XML"),
        (b"MIME-Version: 1.0\nX: y\n", FileErrorCode.NOT_CSV_OR_EXCEL, "a web page or XML"),
        (b"ID;PWXL;N;E\r\nP;PGeneral\r\n", FileErrorCode.NOT_CSV_OR_EXCEL, "neither"),
        (b'TABLE\r\n0,1\r\n"EXCEL"\r\n', FileErrorCode.NOT_CSV_OR_EXCEL, "neither"),
        ("name,b\n\u5c71,1\n".encode("iso-2022-jp"), FileErrorCode.UNREADABLE, "other than UTF-8"),
        ("a,b\n1,\u05d0\n".encode("cp1255"), FileErrorCode.UNREADABLE, "row 2 has a letter that cannot be read"),
        ("a,b\n1,\u0416\n".encode("cp1251"), FileErrorCode.UNREADABLE, "row 2 has a letter that cannot be read"),
        (b'a,b\n"1\n2",x\n\n3,\xfc\n', FileErrorCode.UNREADABLE, "row 4 has a letter that cannot be read"),
        ("name,b\n\u5c71\u7530,1\n".encode("hz"), FileErrorCode.UNREADABLE, "other than UTF-8"),
        (b"<svg width='1'><g/></svg>", FileErrorCode.NOT_CSV_OR_EXCEL, "a web page or XML"),
        (b"<people>\n <person>a,b</person></people>", FileErrorCode.NOT_CSV_OR_EXCEL, "a web page or XML"),
        ("a,b\n1,2\n".encode("utf-32"), FileErrorCode.NOT_CSV_OR_EXCEL, "neither"),
        (b'[{"email": "a@b.com"}]', FileErrorCode.NOT_CSV_OR_EXCEL, "neither"),
        (b'{"email": "a@b.com"}', FileErrorCode.NOT_CSV_OR_EXCEL, "neither"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused(content: bytes, code: FileErrorCode, said: str) -> None:
    problem = refusal(content)

    assert problem.code is code
    assert said in str(problem)


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_limits_hold_at_their_edge(quote: bytes) -> None:
    content = b"a,b\n" + quote + b"1" + quote + b",2\n3,4\n"

    assert parsed(content, limits=Limits(rows=2, columns=2))[1].height == 2
    assert refusal(content, limits=Limits(rows=1)).code is FileErrorCode.TOO_LARGE
    assert refusal(content, limits=Limits(columns=1)).code is FileErrorCode.TOO_LARGE


@pytest.mark.parametrize("count", [100_000, 300_000])
def test_many_quoted_records_are_counted_and_read(count: int) -> None:
    content = b"a,b\n" + b'"1","x\ny"\n' * count

    found = parsed(content)[1]

    assert found.height == count
    assert found.row(-1) == (count + 1, "1", "x\ny")
    assert refusal(content, limits=Limits(rows=count - 1)).code is FileErrorCode.TOO_LARGE


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text('ab,;"\r\n ', max_size=30).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    found = None
    with suppress(FileProblem):
        found = parsed(content)[1]

    assert found is None or (found.height > 0 and found["row"].is_sorted())


def test_an_endless_cell_is_an_unclosed_quote() -> None:
    assert "never closed" in str(refusal(b'a,b\n1,"' + b"x,y\n" * 300_000))


def test_a_letter_is_not_cut_where_the_pieces_of_the_check_meet() -> None:
    content = b"a,b\n" + "é,😀\n".encode() * 400_000

    assert parsed(content)[1].height == 400_000
    assert "row 400002" in str(refusal(content + b"\xe9,x\n"))


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6) | st.sampled_from(
    [
        "007",
        "NaN",
        "1E5",
        "=2+2",
        'say "x"',
        '"',
        "a,b;c",
        "a\nb",
        "a\r\nb",
        "a\rb",
        " x ",
        "שלום",
        "😀",
        "\ufeff",
        "\u2028",
    ]
)
TABLE = st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8)


def _visible(cells: list[str]) -> bool:
    return pl.Series(cells).str.strip_chars().ne("").any()


@settings(deadline=None)
@given(TABLE, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(table=[["a\rb", "\x0b", "'"]], separator=",", end="\n", quotes_all=False)
def test_every_cell_that_a_csv_writer_wrote_is_read_as_it_was(
    table: list[list[str]], separator: str, end: str, quotes_all: bool
) -> None:
    file = io.StringIO()
    bare = any("\r" in cell for cells in table for cell in cells)  # which csv.writer leaves without quotes
    if quotes_all or bare:
        writer = csv.writer(file, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    else:
        writer = csv.writer(file, delimiter=separator, lineterminator=end)
    writer.writerows([["first", "second", "third"], *table, ["end", "", ""]])
    content = file.getvalue().encode()
    if any(1 <= byte <= 8 or 14 <= byte <= 26 for byte in content):
        return

    layout, found = parsed(content)

    expected = [(n, *(cell or None for cell in cells)) for n, cells in enumerate(table, 2) if _visible(cells)]
    assert found.rows() == [*expected, (len(table) + 2, "end", None, None)]
    assert layout.separator == separator


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["name,email\nAnna,a@b.com\n", "שם;דואל\r\nחנה;ח\r\n", "名前\t都市\n山田\t東京\n"])
def test_utf_16_without_its_mark_is_read_where_it_can_be_nothing_else(encoding: str, text: str) -> None:
    layout, found = parsed(text.encode(encoding))

    assert layout.encoding == encoding
    assert found.rows() == parsed(text.encode())[1].rows()


def test_pure_ascii_from_another_encoding_is_read() -> None:
    assert rows("name,email\nAnna,a@b.com\n".encode("cp1252")) == [(2, "Anna", "a@b.com")]


def test_the_old_mark_of_the_end_of_a_file_is_no_row() -> None:
    assert rows(b"a,b\n1,2\n\x1a") == [(2, "1", "2")]


def test_a_header_that_begins_like_an_exchange_format_is_a_header() -> None:
    assert parsed(b"ID;Phone\n1;07400\n")[0].header == ("ID", "Phone")


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_line_that_names_the_separator_is_no_row(first: str) -> None:
    """Excel counts its rows from the header then; here each line has more commas than semicolons."""
    layout, found = parsed(f"{first}\r\na,x,y;b\r\n1,2,3;4\r\n".encode())

    assert (layout.separator, layout.header_row, layout.names_separator) == (";", 1, True)
    assert found.rows() == [(2, "1,2,3", "4")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_header_is_found_below_the_title_of_a_report(quote: str) -> None:
    text = f'\nCustomers, March 2026\n"two\nlines"\n\nFirst Name;E-Mail\n{quote}A,B,C{quote};a@b.com\n;\nD;d@b.com\n'

    layout, found = parsed(text.encode(), titles=("first_name", "email", "phone"))

    assert (layout.header, layout.header_row, layout.separator) == (("First Name", "E-Mail"), 5, ";")
    assert layout.above == ((2, ("Customers, March 2026",)), (3, ("two\nlines",)))
    assert found.rows() == [(6, "A,B,C", "a@b.com"), (8, "D", "d@b.com")]


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("cell", ["x", "", "a,b", "l\nm", 'say "x"', '"', " "])
def test_much_that_is_quoted_is_read_by_the_fast_reader(
    monkeypatch: pytest.MonkeyPatch, width: int, end: str, last: bool, cell: str
) -> None:
    monkeypatch.setattr(delimited, "_sure_records", None)
    lines = [["h"] * width, *[[f"x{number}", cell, cell][:width] for number in range(20)]]
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(lines)
    text = file.getvalue()

    found = parsed((text if last else text.removesuffix(end)).encode())[1]

    assert found.height == len(lines) - 1
    assert found.row(-1) == (len(lines), *(text or None for text in lines[-1]))


@pytest.mark.parametrize("fault", ['"a"b"c","y"', '"a" "b","y"', '"he said, "x",","y"', '"x"'])
def test_one_bad_quote_among_very_many_is_found(fault: str) -> None:
    """The fast reader leaves out quotes that it does not understand."""
    content = '"h","k"\n' + '"x","y"\n' * 60_000 + fault + "\n" + '"x","y"\n' * 9

    if fault == '"x"':
        assert parsed(content.encode())[1].row(60_000) == (60_002, "x", None)
    else:
        assert "in row 60002" in str(refusal(content.encode()))


SIGNS = ["a", "é", ",", '"', '""', '","', "\n", "\r\n", '"\n"', ' "z"', '"x,y"', '"p""q"', ";", " "]


@settings(deadline=None, max_examples=500)
@given(
    body=st.lists(st.sampled_from(SIGNS), max_size=14).map("".join),
    header=st.sampled_from(["h", "h,k", '"h","k"', "h,k,l"]),
    piece=st.integers(1, 20),
)
@example(body='"x" "z",1', header="h,k", piece=1)
@example(body='"a,"x",b"', header="h,k", piece=20)
@example(body='5" pipe,x\ny,6"', header="h,k", piece=20)
def test_the_fast_reader_is_trusted_only_where_the_sure_one_agrees(body: str, header: str, piece: int) -> None:
    """However the text falls into the pieces that it is looked at in."""
    content = f"{header}\n{body}".encode()
    outcome: list[object] = []
    for trusted in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cutting, "PIECE", piece)
            if not trusted:
                patch.setattr(delimited, "_quick_records", lambda _source, _wanted: None)
            try:
                outcome.append(parsed(content)[1].rows())
            except FileProblem as problem:
                outcome.append(str(problem))

    assert outcome[0] == outcome[1]
