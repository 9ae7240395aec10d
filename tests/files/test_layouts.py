"""A layout is kept as text beside the rows."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from files.layouts import Layout, MadeFor

LAYOUTS = st.builds(
    Layout,
    format=st.sampled_from(["csv", "xlsx"]),
    header=st.lists(st.text()).map(tuple),
    header_row=st.integers(1, 100),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
    separator=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r", "\r\n"]),
    quotes_all=st.booleans(),
    above=st.lists(st.tuples(st.integers(1, 9), st.lists(st.text()).map(tuple))).map(tuple),
    names_separator=st.booleans(),
    other_sheets=st.lists(st.text()).map(tuple),
    sheet=st.none() | st.text(),
    first_column=st.integers(0, 10),
    made_for=st.none() | st.builds(MadeFor, key=st.text(), version=st.none() | st.integers(1)),
)


@settings(deadline=None)
@given(LAYOUTS)
def test_a_layout_survives_being_kept(layout: Layout) -> None:
    assert Layout.from_json(layout.to_json()) == layout


def test_a_layout_that_was_kept_before_it_could_say_more_is_read_too() -> None:
    kept = Layout(format="csv", header=("a",)).to_json()
    older = {name: value for name, value in json.loads(kept).items() if name not in {"above", "other_sheets"}}

    assert Layout.from_json(json.dumps(older)) == Layout(format="csv", header=("a",))
