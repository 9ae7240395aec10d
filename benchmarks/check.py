"""What reading and checking a list costs beside the bare libraries: `python -m benchmarks.check --rows 100000`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import fastexcel
import polars as pl

from benchmarks.lists import example_process
from benchmarks.measure import Comparison, Job, main
from domain.columns import recognise
from domain.distinct import once_each
from domain.email_addresses import normalised_email, normalised_emails
from domain.findings import Judged
from domain.frames import ROW, column
from domain.phone_numbers import is_landline, normalised_phone, normalised_phones
from domain.validation import judge
from files.layouts import Layout, Limits
from files.reading import read
from files.result_workbooks import write_workbook

EMAIL, PHONE, REGION = 2, 3, "GB"
"""Places of the addresses in the file, and the region of its numbers."""
ROOMY = Limits(bytes=1_000_000_000, seconds=600)
"""More than may be uploaded: a million of these rows are 136 MB."""
LIBRARY_ROWS = 100_000


def rows_of(path: Path) -> tuple[tuple[str, ...], pl.DataFrame]:
    """The titles and ROWS of a list, by the bare library."""
    cells = pl.read_csv(path, infer_schema=False)
    rows = cells.rename({name: column(place) for place, name in enumerate(cells.columns)})
    return tuple(cells.columns), rows.with_row_index(ROW, offset=2)


def judged(path: Path) -> Judged:
    """A list, judged; kept beside it, so that only the first process needs the memory for that."""
    kept = [path.with_name(f"{name}.parquet") for name in ("recipients", "problems")]
    if not all(file.exists() for file in kept):
        definition = example_process()
        header, rows = rows_of(path)
        found = judge(rows, recognise(header, definition, file_name=path.name), definition)
        for file, frame in zip(kept, (found.recipients, found.problems), strict=True):
            frame.write_parquet(file)
    recipients, problems = map(pl.read_parquet, kept)
    return Judged(recipients=recipients, problems=problems)


def _cells(path: Path, place: int) -> pl.Series:
    return pl.read_csv(path, infer_schema=False, columns=[place]).to_series()


def _reading_bare(path: Path) -> Job:
    return Job(lambda: pl.read_csv(path, infer_schema=False))


def beginning(path: Path) -> Path:
    """A file with the first rows of a list."""
    small = path.with_name("small.csv")
    with path.open("rb") as file:
        small.write_bytes(b"".join(islice(file, 3)))
    return small


def warm_reader(path: Path) -> None:
    """Let the process start that parses, which in the product stays for the next file."""
    read(beginning(path), file_name="small.csv", limits=ROOMY)


def _reading(path: Path) -> Job:
    warm_reader(path)
    return Job(lambda: read(path, file_name=path.name, limits=ROOMY))


def _workbook(path: Path) -> Path:
    """The list as a workbook; made once for all."""
    book = path.with_suffix(".xlsx")
    if not book.exists():
        header, rows = rows_of(path)
        write_workbook(rows, header, layout=Layout("xlsx", header), path=book, noted=rows.columns[-1])
    return book


def _reading_book(path: Path) -> Job:
    book = _workbook(path)
    warm_reader(path)
    return Job(lambda: read(book, file_name=book.name, limits=ROOMY))


def _reading_book_bare(path: Path) -> Job:
    book = _workbook(path)
    return Job(lambda: fastexcel.read_excel(book).load_sheet(0, dtypes="string").to_polars())


def _judging(path: Path) -> Job:
    definition = example_process()
    header, rows = rows_of(path)
    columns = recognise(header, definition, file_name=path.name)
    return Job(lambda: judge(rows, columns, definition))


def _emails_by_library(path: Path) -> Job:
    cells = _cells(path, EMAIL)
    return Job(lambda: once_each(cells, normalised_email))


def _emails(path: Path) -> Job:
    cells = _cells(path, EMAIL)
    return Job(lambda: normalised_emails(cells))


def _phones_by_library(path: Path) -> Job:
    cells = _cells(path, PHONE)
    return Job(lambda: once_each(cells, lambda text: normalised_phone(text, region=REGION)))


def _phones(path: Path) -> Job:
    cells = _cells(path, PHONE)
    return Job(lambda: normalised_phones(cells, region=REGION))


def _landlines(path: Path) -> Job:
    numbers = normalised_phones(_cells(path, PHONE), region=REGION)
    return Job(lambda: is_landline(numbers))


COMPARISONS = (
    Comparison("read CSV", _reading, _reading_bare, "polars.read_csv", at_most=1.5),
    Comparison("read XLSX", _reading_book, _reading_book_bare, "fastexcel", at_most=1.15),
    Comparison("check", _judging),
    Comparison("emails of it", _emails, _emails_by_library, "email-validator", at_least=1, bare_rows=LIBRARY_ROWS),
    Comparison("phones of it", _phones, _phones_by_library, "phonenumbers", at_least=1, bare_rows=LIBRARY_ROWS),
    Comparison("landlines of it", _landlines),
)

if __name__ == "__main__":
    main("benchmarks.check")
