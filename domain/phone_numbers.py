"""Phone numbers as `phonenumbers` judges and spells them: plain ones by expressions, the others by itself.

Plain is ASCII digits with the usual separators between them and perhaps a plus before them. What libphonenumber's
`parse` and `is_valid_number` do with such a text is done here step by step in their order, for whole columns; the
tests compare the two over all regions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import phonenumbers
import polars as pl

from domain.distinct import once_each
from domain.numbering_plans import (
    NATIONAL,
    NOBODYS,
    NumberingPlan,
    Share,
    calling_codes,
    main_region,
    numbering_plan,
    shares,
)

TIDY = r"^\+?[0-9]{4,20}$"
PLAIN = r"^[ ().\-/]{0,3}\+?(?:[ ().\-/]{0,3}[0-9]){4,20}[ ().\-/]{0,3}$"
"""Nothing in it can be an extension, letters, or a second number, and it is within libphonenumber's 250 characters."""
BETWEEN = dict.fromkeys(" ().-/", "")
"""All that a plain number has and a tidy one has not; without regexes they are gone in half the time."""
FEW = 150
"""So many values of a calling code take the library as long as compiling regexes for them takes: about 4 ms."""
CELL, DIALLED, ABROAD = pl.col("cell"), pl.col("dialled"), pl.col("abroad")
ANSWER = pl.Struct({"number": pl.String, "is_landline": pl.Boolean})
NO_NUMBER = {"number": None, "is_landline": None}

# Python forgets a regex after 512 others: without this, a list of many countries takes 0.4 ms a number, with it 0.04.
phonenumbers.enable_pattern_cache()


def normalised_phone(text: str, *, region: str) -> str | None:
    """E.164 of a valid number; digits without a country code are read as dialled in `region`."""
    number: str | None = _asked(text, region=region)["number"]
    return number


def normalised_phones(cells: pl.Series, *, region: str, few: int = FEW) -> pl.Series:
    """`normalised_phone` of each cell, in the same order; null where it is None or the cell is null."""
    return judged_phones(cells, region=region, few=few)["number"].alias(cells.name)


def is_landline(numbers: pl.Series, *, few: int = FEW) -> pl.Series:
    """True for numbers of the type FIXED_LINE, which take no SMS; false where a mobile phone may have the number.

    Args:
        numbers: E.164; what is no valid number is no landline. Null stays null.
        few: so many values or fewer that need a regex go to the library instead.
    """
    landlines = judged_phones(numbers, region=None, few=few)["is_landline"].fill_null(value=False)
    asked = pl.DataFrame({"number": numbers, "landline": landlines})
    return asked.select(pl.when(pl.col("number").is_not_null()).then("landline")).to_series()


def judged_phones(cells: pl.Series, *, region: str | None, few: int = FEW) -> pl.DataFrame:
    """The number in each cell, and whether it is a landline's, in the same order.

    Args:
        cells: text.
        region: as `DE`; None where every number has its country code.
        few: so many values or fewer that need a regex go to the library instead.

    Returns:
        `number`, its E.164, and `is_landline`; both null where the cell is null or holds no valid number.
    """
    if cells.len() <= few:
        return _all_asked(cells, region=region)
    odd, answered = [], []
    for share, own in _by_region(cells, region=region, few=few):
        if share is None:
            odd.append(own["place"])
        else:
            answered.append(_answered(own, share))
    rest = pl.concat(odd)
    answered.append(_all_asked(cells.gather(rest), region=region).insert_column(0, rest))
    return pl.concat(answered).sort("place").drop("place")


def _answered(own: pl.DataFrame, share: Share) -> pl.DataFrame:
    """The numbers of one region: `place`, `number` and `is_landline`."""
    # Where being valid is how a number was found to be the region's, that was asked already.
    is_valid = pl.lit(value=True) if share.is_valid is share.is_own else share.is_valid
    return own.with_columns(is_valid=is_valid).select(
        "place",
        number=pl.when("is_valid").then(pl.concat_str(pl.lit("+" + share.calling_code), NATIONAL)),
        is_landline=pl.when("is_valid").then(share.is_landline),
    )


def _all_asked(cells: pl.Series, *, region: str | None) -> pl.DataFrame:
    """The same, of the library."""
    return once_each(cells, lambda text: _asked(text, region=region), dtype=ANSWER).struct.unnest()


def _asked(text: str, *, region: str | None) -> dict[str, Any]:
    """The fields of ANSWER."""
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return NO_NUMBER
    kind = phonenumbers.number_type(parsed)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:  # this is how `is_valid_number` finds out, too
        return NO_NUMBER
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return {"number": number, "is_landline": kind == phonenumbers.PhoneNumberType.FIXED_LINE}


def _by_region(cells: pl.Series, *, region: str | None, few: int) -> Iterator[tuple[Share | None, pl.DataFrame]]:
    """`place` and `nsn` of each number once, with its region's share of the numbering plan; with None where the library must be asked."""
    homes = defaultdict(list)
    for home, numbers in _parsed(cells, region=region):
        homes[home].append(numbers)
    for home, parts in homes.items():
        plan, numbers = numbering_plan(home), pl.concat(parts)
        if plan is None or numbers.height <= few:
            yield None, numbers
            continue
        for (digits,), alike in _significant(numbers, plan).group_by(NATIONAL.str.len_bytes()):
            regions = shares(plan.calling_code, digits)
            if regions is None:
                yield None, alike
            else:
                yield from _shared_out(alike, regions, few=few)


def _parsed(cells: pl.Series, *, region: str | None) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """What libphonenumber's `parse` does up to the national prefix: `place` and `nsn` of all numbers.

    With the region whose numbering plan applies; with None where the library must be asked.
    """
    plan = numbering_plan(region)
    numbers = pl.DataFrame({"dialled": _dialled(cells)}).with_row_index("place")
    numbers = numbers.with_columns(abroad=_after_international_prefix(plan))
    is_abroad, is_plain = numbers["abroad"].is_not_null(), numbers["dialled"].is_not_null()
    yield None, numbers.filter(~is_plain).select("place", nsn=DIALLED)
    yield from _from_abroad(numbers.filter(is_abroad))
    here = numbers.filter(is_plain & ~is_abroad).select("place", nsn=DIALLED)
    if plan is None:
        yield None, here
    else:
        yield from _from_here(here, plan, region=region)


def _dialled(cells: pl.Series) -> pl.Series:
    """The digits, after a plus where there is one; null where a cell is not plain."""
    odd = (~cells.str.contains(TIDY)).fill_null(value=True).arg_true()
    if odd.is_empty():
        return cells
    spaced = pl.DataFrame({"cell": cells.gather(odd)})
    plain = spaced.select(pl.when(CELL.str.contains(PLAIN)).then(CELL.str.replace_many(BETWEEN)))
    return cells.clone().scatter(odd, plain.to_series())


def _after_international_prefix(plan: NumberingPlan | None) -> pl.Expr:
    """The calling code and the rest, after a plus or as `00`; null where there is neither.

    `_parse_prefix_as_idd`: no calling code begins with 0, so a prefix before a 0 is none.
    """
    after_plus = pl.when(DIALLED.str.starts_with("+")).then(DIALLED.str.slice(1))
    if plan is None or plan.international_prefix is None:
        return after_plus
    rest = plan.international_prefix.rest(DIALLED)
    return pl.coalesce(after_plus, pl.when(~rest.str.starts_with("0")).then(rest))


def _from_abroad(numbers: pl.DataFrame) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """`_extract_country_code`; a number that begins with no calling code is odd: after a plus it gets a second try."""
    begins = ABROAD.str.slice(0, 3)
    known = numbers.with_columns(code=begins.replace_strict(calling_codes(), default=None, return_dtype=pl.UInt16))
    for (code,), own in known.group_by("code"):
        home = None if code is None else main_region(str(code))
        yield home, own.select("place", nsn=ABROAD.str.slice(0 if code is None else len(str(code))))


def _from_here(
    numbers: pl.DataFrame, plan: NumberingPlan, *, region: str | None
) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """`_maybe_extract_country_code` without a plus: a calling code may still stand there, if that explains more."""
    begins = numbers["nsn"].str.starts_with(plan.calling_code)
    coded, whole = numbers.filter(begins), pl.col("whole")
    rest = coded.select("place", whole=NATIONAL, nsn=NATIONAL.str.slice(len(plan.calling_code)))
    coded = rest.with_columns(nsn=_without_national_prefix(rest, plan))
    fits_only_so = ~plan.is_general(whole) & plan.is_general(NATIONAL)
    has_code = coded.select(fits_only_so | plan.is_too_long(whole)).to_series()
    yield plan.main_region, coded.filter(has_code).select("place", "nsn")
    yield region, coded.filter(~has_code).select("place", nsn=whole)
    yield region, numbers.filter(~begins)


def _without_national_prefix(numbers: pl.DataFrame, plan: NumberingPlan) -> pl.Series:
    """`_maybe_strip_national_prefix_carrier_code` of the column `nsn`: not where only the whole fits."""
    if plan.national_prefix is None:
        return numbers["nsn"]
    rest, fits_whole = pl.col("rest"), pl.col("fits_whole")
    stripped = numbers.select("nsn", rest=plan.national_prefix.rest(NATIONAL))
    # Null is what no regex looks at: most numbers have no prefix, or do not fit with it.
    stripped = stripped.with_columns(fits_whole=plan.is_general(pl.when(rest.is_not_null()).then(NATIONAL)))
    keeps = rest.is_null() | (fits_whole & ~plan.is_general(pl.when(fits_whole).then(rest)))
    return stripped.select(pl.when(keeps).then(NATIONAL).otherwise(rest)).to_series()


def _significant(numbers: pl.DataFrame, plan: NumberingPlan) -> pl.DataFrame:
    """The end of `parse`: `nsn` without its national prefix, unless too little is left."""
    rest = pl.col("rest")
    stripped = numbers.with_columns(rest=_without_national_prefix(numbers, plan))
    return stripped.select("place", nsn=pl.when(plan.may_stand(rest)).then(rest).otherwise(NATIONAL))


def _shared_out(
    numbers: pl.DataFrame, regions: tuple[Share, ...], *, few: int
) -> Iterator[tuple[Share | None, pl.DataFrame]]:
    """`region_code_for_number`: each number with the first region that it can be of, or with nobody's share."""
    for share in regions:
        if numbers.height <= few:
            yield None, numbers
            return
        marked = numbers.with_columns(own=share.is_own)
        if marked["own"].any():
            yield share, marked.filter("own")
            numbers = marked.filter(~pl.col("own"))
    yield NOBODYS, numbers
