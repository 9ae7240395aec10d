"""Number formats: what a person sees of a number; phone numbers stored as numbers must keep their digits."""

from __future__ import annotations

import pytest

from files.number_formats import number_format, shown


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("General", 44740012500.0, "44740012500"),
        ("0.00E+00", 447400125001.0, "447400125001"),
        ("General", 0.1 + 0.2, "0.3"),
        ("General", 1e-11, "0.00000000001"),
        ("General", 1e21, "1000000000000000000000"),
        ('#,##0 "days"', 45000.0, "45000"),
        ("0%", 0.25, "25%"),
        ('0" % of all"', 5.0, "5"),
        ("00000", 745.0, "00745"),
        ("00000", 7.5, "7.5"),
        ("00000", -7.0, "-7"),
        ('"+"0', 447400123456.0, "+447400123456"),
        ("\\+## ### ######", 447400123456.0, "+447 400 123456"),
        ('"0"##########', 7400123456.0, "07400123456"),
        ("0000 000000", 7400123456.0, "7400123456"),
        ("00000 000000", 7400123456.0, "07400 123456"),
        ("(000) 000-0000", 5551234567.0, "5551234567"),
        ("[<=99999]00000;00000\\-0000", 745.0, "00745"),
        ("[<=99999]00000;00000\\-0000", 7451234.0, "00745-1234"),
        ('00000" kr"', 745.0, "745"),
        ("dd.mm.yyyy", 45000.0, "2023-03-15"),
        ("dd.mm.yyyy", 45000.75, "2023-03-15 18:00:00"),
        ("mmm", 61.0, "1900-03-01"),
        ("yyyy-mm-dd", 60.0, "1900-02-29"),
        ("yyyy-mm-dd", 59.0, "1900-02-28"),
        ("yyyy-mm-dd", 1.0, "1900-01-01"),
        ("yyyy-mm-dd", 0.0, "1900-01-00"),
        ("yyyy-mm-dd", 2958465.0, "9999-12-31"),
        ("yyyy-mm-dd", 447400123456.0, "447400123456"),
        ("yyyy-mm-dd", -1.0, "-1"),
        ("d/m/yy h:mm:ss.000", 45000.000005, "2023-03-15 00:00:00.432"),
        ("[$-409]h:mm AM/PM;@", 0.5, "12:00:00"),
        ("h:mm", 0.0, "00:00:00"),
        ("h:mm", 1.5, "12:00:00"),
        ("h:mm", 45000.75, "2023-03-15 18:00:00"),
        ("[h]:mm", 1.5, "36:00"),
        ("[h]:mm:ss", 1.51, "36:14:24"),
        ("[mm]:ss", 0.0625, "90:00"),
        ("[ss]", 0.0625, "5400"),
        ("[h]", -1.5, "-36"),
    ],
)
def test_a_number_is_as_a_person_sees_it(code: str, value: float, expected: str) -> None:
    assert shown(value, number_format(165, code), is_1904=False) == expected


@pytest.mark.parametrize(
    ("number", "value", "expected"),
    [
        (9, 0.5, "50%"),
        (14, 45000.0, "2023-03-15"),
        (20, 0.75, "18:00:00"),
        (31, 45000.0, "2023-03-15"),
        (46, 2.0, "48:00:00"),
        (2, 2.5, "2.5"),
    ],
)
def test_a_format_without_a_code_is_known_by_its_number(number: int, value: float, expected: str) -> None:
    assert shown(value, number_format(number, None), is_1904=False) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.0, "1904-01-01"), (24837.0, "1972-01-01"), (2957004.0, "2957004")])
def test_days_may_count_from_1904(value: float, expected: str) -> None:
    assert shown(value, number_format(14, None), is_1904=True) == expected
