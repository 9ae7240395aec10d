"""Cutting a text into views of itself."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from files import cutting
from files.cutting import Bounds, Dialect, TooManyRows, cut
from files.handover import mapped

ROOMY = Bounds(rows=100, bytes=10**9)


def cells(text: str, *, width: int = 2, bounds: Bounds = ROOMY, wanted: tuple[int, ...] | None = None) -> pl.DataFrame:
    """Cut what stands below a header."""
    dialect = Dialect(",", width, quoted='"' in text, wanted=wanted or tuple(range(width)))
    file = cut(b"h\n" + text.encode(), dialect, bounds, start=2, first_row=2)
    assert file is not None
    with file:
        return mapped(file)


def is_doubtful(text: str, *, width: int = 2) -> bool:
    dialect = Dialect(",", width, quoted='"' in text, wanted=tuple(range(width)))
    return cut(b"h\n" + text.encode(), dialect, ROOMY, start=2, first_row=2) is None


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8, 11, 12, 13, 16, 100])
def test_a_text_of_every_size_comes_whole(size: int) -> None:
    """Up to twelve bytes a view holds itself."""
    text = "abcdefghij" * 10

    assert cells(f"{text[:size]},x\n").row(0) == (2, text[:size] or None, "x")


def test_cells_that_share_a_text_stay_apart_after_it_is_gone() -> None:
    rows = cells('a long text that stands elsewhere,"another ""one"" with quotes"\nb,c\n')

    assert rows.rows() == [
        (2, "a long text that stands elsewhere", 'another "one" with quotes'),
        (3, "b", "c"),
    ]
    assert rows.filter(pl.col("c0") == "b").rows() == [(3, "b", "c")]


@pytest.mark.parametrize("text", ["a,b,c\n", 'a,"b\n', 'a,"b"c\n', 'a,b"c"\n', 'a,"b" \n', '"a""b,c\n', "a,\ud800\n"])
def test_what_has_no_one_reading_is_left_to_the_sure_reader(text: str) -> None:
    dialect = Dialect(",", 2, quoted='"' in text, wanted=(0, 1))
    content = b"h\n" + text.encode("utf-8", "surrogatepass")

    assert cut(content, dialect, ROOMY, start=2, first_row=2) is None


@pytest.mark.parametrize("bad", [b"\xe4", b"\xc3\n", b"\xc3a\xa4", b"\xf0\x9f\x98", b"\xa4", b"\xc0\x80"])
def test_a_letter_in_another_encoding_is_found(bad: bytes) -> None:
    dialect = Dialect(",", 2, quoted=False, wanted=(0, 1))

    assert cut("h\nä,😀\n".encode() + b"a" + bad + b"b,c\n", dialect, ROOMY, start=2, first_row=2) is None


def test_surplus_cells_may_be_blank_and_missing_ones_are_null() -> None:
    assert cells("a,b, ,\u3000\nc\n\nd,,,\n").rows() == [(2, "a", "b"), (3, "c", None), (5, "d", None)]


def test_a_row_that_shows_nothing_is_none_whatever_its_spaces_are() -> None:
    assert cells("a,b\n \u3000,\t\n,\n,é\n").rows() == [(2, "a", "b"), (5, None, "é")]


def test_more_rows_than_there_may_be_are_told_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "PIECE", 8)

    assert cells("a,b\n" * 100).height == 100
    with pytest.raises(TooManyRows):
        cells("a,b\n" * 101)
    with pytest.raises(MemoryError):
        cells("a,b\n" * 100, bounds=Bounds(rows=100, bytes=1_000))


def test_a_line_that_is_hardly_one_of_a_list_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "PIECE", 8)
    monkeypatch.setattr(cutting, "LARGEST_PIECE", 64)

    assert not is_doubtful(f"{'a' * 40},b\n")
    assert is_doubtful(f"{'a' * 400},b\n")


def test_the_file_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("h,k\n1,2\n")

    file = cut(path, Dialect(",", 2, quoted=False, wanted=(1,)), ROOMY, start=4, first_row=2)
    path.write_text("h,k\n3,4\n")

    assert file is not None
    with file:
        assert mapped(file).rows() == [(2, "2")]


@settings(deadline=None)
@given(
    texts=st.lists(st.tuples(st.text('ab é,"\n', max_size=15), st.text("xyz", min_size=1, max_size=15)), max_size=8),
    piece=st.integers(1, 40),
    ends_line=st.booleans(),
)
def test_what_was_written_is_read_wherever_the_pieces_end(
    texts: list[tuple[str, str]], piece: int, *, ends_line: bool
) -> None:
    lines = ['"{}",{}'.format(first.replace('"', '""'), second) for first, second in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "PIECE", piece)

        found = cells("\n".join(lines) + "\n" * ends_line)

    assert found.rows() == [(2 + number, first or None, second) for number, (first, second) in enumerate(texts)]
