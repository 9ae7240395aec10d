"""Email addresses as email-validator judges and spells them: the plain ones by one regex, the others by itself.

Plain is what its source provably takes as it is: a dot-atom before the @ (RFC 5322 3.2.3), and after it at least
two labels of ASCII letters, digits and single hyphens, the last of letters only. Two hyphens in a row may be
Punycode. 64 bytes in all keep every limit of length: 63 of a label (RFC 1035), 253 of a domain, 254 of an address.
"""

from __future__ import annotations

import re

import polars as pl
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from domain.distinct import once_each

MOST_PLAIN_BYTES = 64
ATOM = r"[a-z0-9_!#$%&'*+\-/=?^`{|}~]+"
LABEL = r"[a-z0-9]+(?:-[a-z0-9]+)*"
PLAIN = rf"{ATOM}(?:\.{ATOM})*@(?:{LABEL}\.)+[a-z]+"
LOWER_CASE = rf"^{PLAIN}$"
ANY_CASE = rf"^(?i-u:{PLAIN})$"
"""Without `-u` a Kelvin sign would be a `k`."""
SPECIAL_USE = rf"[@.](?:{'|'.join(map(re.escape, SPECIAL_USE_DOMAIN_NAMES))})$"
HOPELESS = r"^[^@]*$|@[\x00-\x2d\x2f-\x3f\x41-\x7f]*$"
"""No @, or none with an ASCII dot or a foreign letter, which may become a dot, behind it: the likeliest mistakes."""
CAPITAL_MAILBOX = r"^[^@]*[A-Z]"
CELL = pl.col("cell")


def normalised_email(text: str) -> str | None:
    """What email-validator makes of an address, without DNS; None when it refuses it."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def normalised_emails(cells: pl.Series) -> pl.Series:
    """`normalised_email` of each cell, in the same order; null where it is None or the cell is null."""
    lower = _plain(cells, LOWER_CASE) & _is_for_general_use(cells)
    other = (~lower).arg_true()
    return cells.clone().scatter(other, _not_lower(cells.gather(other))) if other.len() else cells


def _not_lower(cells: pl.Series) -> pl.Series:
    """The same for what is not plain in lower case."""
    spelled = _in_canonical_case(cells)
    plain = _plain(cells, ANY_CASE) & _is_for_general_use(spelled)
    odd = (~plain).arg_true()
    return spelled.scatter(odd, once_each(_hopeful(cells.gather(odd)), normalised_email))


def _plain(cells: pl.Series, pattern: str) -> pl.Series:
    """True where a cell is short and fits; false where it is null."""
    fits = (CELL.str.len_bytes() <= MOST_PLAIN_BYTES) & CELL.str.contains(pattern)
    return pl.DataFrame({"cell": cells}).select(fits.fill_null(value=False)).to_series()


def _hopeful(cells: pl.Series) -> pl.Series:
    """Null where email-validator is sure to refuse."""
    return pl.DataFrame({"cell": cells}).select(pl.when(~CELL.str.contains(HOPELESS)).then(CELL)).to_series()


def _is_for_general_use(cells: pl.Series) -> pl.Series:
    """False below the domains that email-validator refuses (RFC 6761), which it knows in lower case."""
    return ~cells.str.contains(SPECIAL_USE).fill_null(value=True)


def _in_canonical_case(cells: pl.Series) -> pl.Series:
    """The domain in lower case, and the mailbox too where its name has no case (RFC 2142); for plain addresses only."""
    lower = cells.str.to_lowercase()
    capital = cells.str.contains(CAPITAL_MAILBOX).arg_true()
    if capital.is_empty():
        return lower
    parts = pl.DataFrame({"cell": cells.gather(capital)}).select(CELL.str.split_exact("@", 1)).unnest("cell")
    mailbox, domain = pl.col("field_0"), pl.col("field_1").str.to_lowercase()
    small = mailbox.str.to_lowercase()
    named = pl.when(small.is_in(CASE_INSENSITIVE_MAILBOX_NAMES)).then(small).otherwise(mailbox)
    return lower.scatter(capital, parts.select(pl.concat_str(named, domain, separator="@")).to_series())
