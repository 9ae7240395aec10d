"""A layout is kept as text beside the rows."""

from __future__ import annotations

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
    sheet=st.none() | st.text(),
    first_column=st.integers(0, 10),
    made_for=st.none() | st.builds(MadeFor, key=st.text(), version=st.none() | st.integers(1)),
)


@settings(deadline=None)
@given(LAYOUTS)
def test_a_layout_survives_being_kept(layout: Layout) -> None:
    assert Layout.from_json(layout.to_json()) == layout
