"""Who has an open link already: found by either address, in the first batch that has it."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

from domain.open_links import Links, open_in

Address = str | None


def people(*addresses: tuple[Address, Address]) -> pl.DataFrame:
    schema = {"email": pl.String, "phone": pl.String}
    return pl.DataFrame(addresses, schema=schema, orient="row").with_row_index("row", offset=2)


def batch(batch_id: int, *addresses: tuple[Address, Address]) -> Links:
    return batch_id, people(*addresses).drop("row")


@pytest.mark.parametrize(
    ("email", "phone", "expected"),
    [
        ("ann@b.com", None, 7),
        ("Ann@b.com", None, 7),
        (None, "+447400123456", 7),
        ("new@b.com", "+447400123456", 7),
        ("ann@b.com", "+447400999999", 7),
        ("new@b.com", "+447400999999", None),
        (None, None, None),
    ],
)
def test_a_person_is_known_by_either_address(email: Address, phone: Address, expected: int | None) -> None:
    known = batch(7, ("ANN@b.com", None), (None, "+447400123456"), (None, None))

    assert open_in(people((email, phone)), [known]).to_list() == [expected]


def test_rows_keep_their_order_and_name_the_first_batch_that_has_them() -> None:
    recipients = people(("x@b.com", None), ("both@b.com", None), ("old@b.com", None), ("both@b.com", None))

    found = open_in(recipients, [batch(9, ("both@b.com", None)), batch(7, ("both@b.com", None), ("old@b.com", None))])

    assert (found.name, found.to_list()) == ("open_in", [None, 9, 7, 9])


def test_no_more_batches_are_read_than_are_needed() -> None:
    """Each is a file of up to a million people."""

    def links() -> Iterator[Links]:
        yield batch(9, ("ann@b.com", None))
        pytest.fail("everybody was found")

    assert open_in(people(("ann@b.com", None), (None, None)), links()).to_list() == [9, None]


def test_without_other_batches_nobody_has_a_link() -> None:
    assert open_in(people(("ann@b.com", None)), []).to_list() == [None]
