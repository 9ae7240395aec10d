"""Phone numbers as `phonenumbers` judges and spells them: plain ones by expressions, the others by itself.

Plain is ASCII digits with the usual separators between them and perhaps a plus before them. What libphonenumber's
`parse` and `is_valid_number` do with such a text is done here step by step in their order, for whole columns; the
tests compare the two over all regions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import phonenumbers
import polars as pl

from domain.distinct import once_each
from domain.numbering_plans import (
    LONGEST,
    NOBODYS,
    NumberingPlan,
    Share,
    calling_codes,
    main_region,
    numbering_plan,
    shares,
)

PLAIN = r"^[ ().\-/]{0,3}\+?(?:[ ().\-/]{0,3}[0-9]){4,20}[ ().\-/]{0,3}$"
"""Nothing in it can be an extension, letters, or a second number, and it is within libphonenumber's 250 characters."""
BETWEEN = dict.fromkeys(" ().-/+", "")
"""All that a plain number has beside digits; without regexes they are gone in half the time."""
FEW = 300
"""So many values of a calling code take the library as long as compiling that code's regexes takes: about 8 ms."""
CELL, DIGITS, ABROAD, NATIONAL = pl.col("cell"), pl.col("digits"), pl.col("abroad"), pl.col("nsn")
UNKNOWN = pl.lit(None, pl.String)
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
    for share, own in _by_region(_parsed(cells, region=region), few=few):
        if share is None:
            odd.append(own.select("place", "cell"))
        else:
            answered.append(_answered(own, share))
    rest = pl.concat(odd)
    answered.append(rest.select("place").hstack(_all_asked(rest["cell"], region=region)))
    return pl.concat(answered).sort("place").select("number", "is_landline")


def _answered(own: pl.DataFrame, share: Share) -> pl.DataFrame:
    """The numbers of one region: `place`, `number` and `is_landline`."""
    # Where being valid is how a number was found to be the region's, that was asked already.
    is_valid = pl.lit(value=True) if share.is_valid is share.is_own else share.is_valid
    valid = own.select("place", "number", "padded", is_valid=is_valid)
    return valid.select(
        "place",
        number=pl.when("is_valid").then("number"),
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


def _parsed(cells: pl.Series, *, region: str | None) -> pl.DataFrame:
    """`place`, `cell`, `home` and `nsn`: libphonenumber's `parse` up to the national prefix.

    `home` is the region whose numbering plan applies; null where the library must be asked.
    """
    plan = numbering_plan(region) if region is not None else None
    numbers = pl.DataFrame({"cell": cells}).with_row_index("place")
    plain = pl.when(CELL.str.contains(PLAIN)).then(CELL.str.replace_many(BETWEEN))
    numbers = numbers.with_columns(digits=plain)
    numbers = numbers.with_columns(abroad=_after_international_prefix(plan))
    is_abroad, is_odd = numbers["abroad"].is_not_null(), numbers["digits"].is_null()
    here = numbers.filter(~is_abroad & ~is_odd)
    parsed = [_odd(numbers.filter(is_odd)), _from_abroad(numbers.filter(is_abroad))]
    return pl.concat([*parsed, _odd(here) if plan is None else _from_here(here, plan, region=region)])


def _odd(numbers: pl.DataFrame) -> pl.DataFrame:
    return numbers.select("place", "cell", home=UNKNOWN, nsn=UNKNOWN)


def _after_international_prefix(plan: NumberingPlan | None) -> pl.Expr:
    """The calling code and the rest, after a plus or as `00`; null where there is neither.

    `_parse_prefix_as_idd`: no calling code begins with 0, so a prefix before a 0 is none.
    """
    has_plus = CELL.str.contains("+", literal=True)
    after_plus = pl.when(has_plus).then(DIGITS)
    if plan is None or plan.international_prefix is None:
        return after_plus
    rest = plan.international_prefix.rest(pl.when(~has_plus).then(DIGITS))
    return pl.coalesce(after_plus, pl.when(~rest.str.starts_with("0")).then(rest))


def _from_abroad(numbers: pl.DataFrame) -> pl.DataFrame:
    """`_extract_country_code`; a number that begins with no calling code is odd: after a plus it gets a second try."""
    codes = calling_codes()
    homes = {code: main_region(code) for code in set(codes.values())}
    code = ABROAD.str.slice(0, 3).replace_strict(codes, default=None, return_dtype=pl.String)
    known = numbers.with_columns(code=code)
    return known.select(
        "place",
        "cell",
        home=pl.col("code").replace_strict(homes, default=None, return_dtype=pl.String),
        nsn=ABROAD.str.strip_prefix(pl.col("code")),
    )


def _from_here(numbers: pl.DataFrame, plan: NumberingPlan, *, region: str | None) -> pl.DataFrame:
    """`_maybe_extract_country_code` without a plus: a calling code may still stand there, if that explains more."""
    begins = numbers["digits"].str.starts_with(plan.calling_code)
    coded = numbers.filter(begins).with_columns(nsn=DIGITS.str.slice(len(plan.calling_code)))
    coded = coded.with_columns(nsn=_without_national_prefix(coded, plan))
    fits_only_so = ~plan.is_general(DIGITS) & plan.is_general(NATIONAL)
    has_code = fits_only_so | plan.is_too_long(DIGITS)
    at_home = pl.when(has_code).then(pl.lit(plan.main_region)).otherwise(pl.lit(region))
    coded = coded.select("place", "cell", home=at_home, nsn=pl.when(has_code).then(NATIONAL).otherwise(DIGITS))
    plain = numbers.filter(~begins).select("place", "cell", home=pl.lit(region), nsn=DIGITS)
    return pl.concat([coded, plain])


def _without_national_prefix(numbers: pl.DataFrame, plan: NumberingPlan) -> pl.Series:
    """`_maybe_strip_national_prefix_carrier_code` of the column `nsn`: not where only the whole fits."""
    if plan.national_prefix is None:
        return numbers["nsn"]
    rest = pl.col("rest")
    stripped = numbers.select("nsn", rest=plan.national_prefix.rest(NATIONAL))
    # Null is what no regex looks at: most numbers have no prefix, or do not fit with it.
    fits_whole = plan.is_general(pl.when(rest.is_not_null()).then(NATIONAL))
    keeps = rest.is_null() | (fits_whole & ~plan.is_general(pl.when(fits_whole).then(rest)))
    return stripped.select(pl.when(keeps).then(NATIONAL).otherwise(rest)).to_series()


def _by_region(parsed: pl.DataFrame, *, few: int) -> Iterator[tuple[Share | None, pl.DataFrame]]:
    """Each number once, with its region's share of the numbering plan; with None where the library must be asked."""
    yield None, parsed.filter(pl.col("home").is_null())
    for (home,), numbers in parsed.drop_nulls("home").group_by("home"):
        plan = numbering_plan(str(home))
        regions = None if plan is None else shares(plan.calling_code)
        if plan is None or regions is None or numbers.height <= few:
            yield None, numbers
        else:
            yield from _shared_out(_significant(numbers, plan), regions, few=few)


def _significant(numbers: pl.DataFrame, plan: NumberingPlan) -> pl.DataFrame:
    """The end of `parse`: `nsn` without its national prefix, unless too little is left, and `number`, its E.164."""
    rest = pl.col("rest")
    stripped = numbers.with_columns(rest=_without_national_prefix(numbers, plan))
    significant = pl.when(plan.may_stand(rest)).then(rest).otherwise(NATIONAL)
    return stripped.select("place", "cell", nsn=significant).with_columns(
        number=pl.concat_str(pl.lit("+" + plan.calling_code), NATIONAL),
        padded=NATIONAL.str.pad_start(LONGEST, "x"),
    )


def _shared_out(
    numbers: pl.DataFrame, regions: tuple[Share, ...], *, few: int
) -> Iterator[tuple[Share | None, pl.DataFrame]]:
    """`region_code_for_number`: each number with the first region that it can be of, or with nobody's share."""
    for share in regions:
        marked = numbers.with_columns(own=share.is_own)
        if not marked["own"].any():
            continue
        yield share, marked.filter("own")
        numbers = marked.filter(~pl.col("own"))
        if numbers.height <= few:
            yield None, numbers
            return
    yield NOBODYS, numbers
