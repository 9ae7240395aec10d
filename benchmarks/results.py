"""What writing the result file costs beside the bare libraries: `python -m benchmarks.results --rows 100000`.

A row has ten columns of the operator's, and ours.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from xlsxwriter.workbook import Workbook

from benchmarks.check import judged, rows_of
from benchmarks.measure import Comparison, Job, main
from domain.annotation import annotate
from domain.frames import MESSAGES, ROW
from files.layouts import Format, Layout
from files.results import Summary, write_result

COLUMNS = 10
XLSXWRITER_ROWS = 100_000
SENT_AT = "2030-01-31T10:00:00Z"
SUMMARY = Summary(facts=(("Batch", "January"), ("Process", "Motor policy renewal")))


def _made(path: Path) -> tuple[tuple[str, ...], pl.DataFrame, pl.DataFrame]:
    """Titles, ROWS and STATUSES of a batch in which every valid row was sent; kept beside the list, as what is judged."""
    kept = [path.with_name(f"{name}.parquet") for name in ("rows", "statuses")]
    if not all(file.exists() for file in kept):
        for file, frame in zip(kept, _told(path), strict=True):
            frame.write_parquet(file)
    rows, statuses = map(pl.read_parquet, kept)
    return tuple(f"Title {number}" for number in range(COLUMNS)), rows, statuses


def _told(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = judged(path)
    sent = found.recipients.filter("valid").select(
        ROW, channel=pl.lit("email"), state=pl.lit("accepted"), sent_at=pl.lit(SENT_AT)
    )
    messages = pl.concat([pl.DataFrame(schema=MESSAGES), sent], how="diagonal")
    statuses = annotate(found.recipients, found.problems, messages, stage="send")
    rows = rows_of(path)[1]
    return rows.select(rows.columns[: COLUMNS + 1]), statuses


def _writing(path: Path, kind: Format) -> Job:
    header, rows, statuses = _made(path)
    layout = Layout(kind, header, line_end="\n")
    target = path.with_name(f"result.{kind}")
    return Job(lambda: write_result(rows, statuses, layout=layout, path=target, summary=SUMMARY))


def _bare(path: Path) -> pl.DataFrame:
    _, rows, statuses = _made(path)
    return rows.join(statuses, on=ROW, how="left", maintain_order="left").drop(ROW)


def _csv(path: Path) -> Job:
    return _writing(path, "csv")


def _csv_bare(path: Path) -> Job:
    table = _bare(path)
    return Job(lambda: table.write_csv(path.with_name("bare.csv")))


def _xlsx(path: Path) -> Job:
    return _writing(path, "xlsx")


def _xlsx_bare(path: Path) -> Job:
    table = _bare(path)
    return Job(lambda: _write_cells(table, path.with_name("bare.xlsx")))


def _write_cells(table: pl.DataFrame, path: Path) -> None:
    with Workbook(path, {"constant_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        for number, values in enumerate(table.iter_rows()):
            for place, value in enumerate(values):
                if value is not None:
                    sheet.write_string(number, place, value)


COMPARISONS = (
    Comparison("result CSV", _csv, _csv_bare, "polars write_csv", at_most=1.5),
    Comparison("result XLSX", _xlsx, _xlsx_bare, "XlsxWriter", at_least=6, bare_rows=XLSXWRITER_ROWS),
)

if __name__ == "__main__":
    main("benchmarks.results")
