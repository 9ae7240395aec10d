"""Process definitions: what is read, and that every refusal names its line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import DefinitionProblem
from domain.processes import ItemType, ProcessDefinition, read_definition
from tests.factories import MOTOR, motor

GOOD = """\
key: motor
name: Motor
default_region: GB
data_items:
  - {name: first_name, type: text, required: true}
  - {name: email, type: email}
  - name: phone
    type: phone
  - name: cover
    type: choice
    choices: [A, B]
  - name: day
    type: date
    format: "%d.%m.%Y"
workflow:
  - phase: start
    output:
      email:
        from: post@acme.example
        subject: "Dear {{ first_name }}"
        text: "{{ link }}"
        html: "<a href='{{ link }}'>open</a>"
      sms:
        from: "+15005550006"
        text: "{{ link }}"
  - phase: review
"""


def read(text: str = GOOD) -> ProcessDefinition:
    return read_definition(text, name="motor.yaml")


def without(part: str, instead: str = "") -> str:
    """The good definition with one part replaced."""
    assert GOOD.count(part) == 1, part
    return GOOD.replace(part, instead)


def test_the_example_process_can_be_read() -> None:
    definition = motor()

    assert (definition.key, definition.default_region, len(definition.data_items)) == ("motor-renewal", "GB", 9)
    assert {item.type for item in definition.data_items} == set(ItemType)
    assert MOTOR.name == "motor-renewal.yaml"


def test_a_link_may_end_ask_for_what_its_person_knows_and_speak_their_language() -> None:
    definition = read(
        without("workflow:\n", "link_days: 30\nsecond_factor: first_name\nlang: he\nright_to_left: true\nworkflow:\n")
    )

    assert (definition.link_days, definition.lang) == (30, "he")
    assert definition.factor_item == definition.data_items[0]
    assert read().factor_item is None


def test_what_anybody_can_guess_is_no_second_factor() -> None:
    text = without("    choices: [A, B]\n", "    choices: [A, B]\n    required: true\n")

    with pytest.raises(DefinitionProblem, match=r"line 16: second_factor: cover is a choice, which anybody can guess"):
        read(text.replace("workflow:\n", "second_factor: cover\nworkflow:\n"))


def test_what_is_left_out_has_its_default() -> None:
    definition = read("key: a\nname: A\ndefault_region: DE\ndata_items:\n  - {name: x, type: text}\n")

    assert (definition.workflow, definition.start_url, definition.right_to_left) == ((), None, False)
    assert (definition.data_items[0].required, definition.start.email, definition.start.sms) == (False, None, None)
    assert (definition.email_item, definition.phone_item) == (None, None)


def test_the_first_item_of_a_type_has_the_address() -> None:
    definition = read(without("  - name: phone\n", "  - {name: broker, type: email}\n  - name: phone\n"))

    assert definition.email_item is not None
    assert definition.phone_item is not None
    assert (definition.email_item.name, definition.phone_item.name) == ("email", "phone")


def test_a_definition_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        read().name = "other"


def test_only_the_start_phase_is_sent() -> None:
    definition = read(without("phase: start", "phase: begin"))

    assert (definition.start.email, definition.start.sms) == (None, None)


@pytest.mark.parametrize(
    ("part", "instead", "line", "words"),
    [
        ("name: Motor\n", "name: Motor\ncolour: red\n", 3, r"colour: this key is unknown"),
        ("required: true}", "mandatory: true}", 5, r"mandatory: this key is unknown"),
        ("    choices: [A, B]\n", "    choices: [A, B]\n    max: 1\n", 12, r"max: this key is unknown"),
        ("        subject:", "        reply_to: x\n        subject:", 20, r"reply_to: this key is unknown"),
        ('        from: "+1500', '        unicode: true\n        from: "+1500', 24, r"unicode: this key is unknown"),
        ("  - phase: review\n", "  - phase: review\n    outputs: {}\n", 27, r"outputs: this key is unknown"),
        ("key: motor", "key: Motor", 1, r"key: "),
        ("key: motor\n", "", 1, r"key: Field required"),
        ("name: Motor\n", "name: ''\n", 2, r"name: "),
        ("type: email}", "type: mail}", 6, r"type: "),
        ("name: first_name", "name: first name", 5, r"name: "),
        ("name: first_name", "name: 1st", 5, r"name: "),
        ("required: true", "required: perhaps", 5, r"required: "),
        ("    choices: [A, B]\n", "", 9, r"the choice cover lists no choices"),
        ("type: phone\n", "type: phone\n    choices: [A]\n", 7, r"phone lists choices, but its type is phone"),
        ("type: phone\n", 'type: phone\n    format: "%d"\n', 7, r"phone has a format, but its type is phone"),
        ('        subject: "Dear {{ first_name }}"\n', "", 18, r"subject: Field required"),
        ('        text: "{{ link }}"\n        html', "        html", 18, r"text: Field required"),
        ("        from: post@acme.example\n", "", 18, r"from: Field required"),
        ("  - phase: review\n", "  - phase: ''\n", 26, r"phase: "),
        ("  - phase: review\n", "  - review\n", 26, r"workflow\.1: "),
        ("workflow:\n", "start_url: go.example\nworkflow:\n", 15, r"start_url: "),
        ("workflow:\n", "link_days: 0\nworkflow:\n", 15, r"link_days: "),
        ("workflow:\n", "link_days: soon\nworkflow:\n", 15, r"link_days: "),
        ("workflow:\n", "lang: hebrew!\nworkflow:\n", 15, r"lang: "),
        ("required: true}", "required: true, label: ''}", 5, r"label: "),
        ("required: true}", "required: true, help: ''}", 5, r"help: "),
        (
            "workflow:\n",
            "second_factor: born\nworkflow:\n",
            15,
            r"second_factor: 'born' is no data item; known are first_name,",
        ),
        ("workflow:\n", "second_factor: day\nworkflow:\n", 15, r"second_factor: day may be empty, .* required: true"),
    ],
)
def test_a_fault_is_named_with_its_line(part: str, instead: str, line: int, words: str) -> None:
    with pytest.raises(DefinitionProblem, match=rf"^motor\.yaml, line {line}: .*{words}"):
        read(without(part, instead))


@pytest.mark.parametrize(
    ("part", "instead", "words"),
    [
        ("default_region: GB", "default_region: UK", "default_region: 'UK' is not a country code"),
        ("default_region: GB", "default_region: gb", "default_region: 'gb' is not a country code"),
        ("{name: email, type: email}", "{name: First_Name, type: email}", "two data items are called First_Name"),
        ("name: cover", "name: Link", "may not be called link"),
        ("phase: review", "phase: start", "two start phases"),
        ("type: email}", "type: text}", "no data item has type email, so there is no address"),
        ("    type: phone\n", "    type: text\n", "no data item has type phone, so there is no address"),
        ("Dear {{ first_name }}", "Dear {{ name }}", r"\{\{ name \}\} is no data item; known are cover, day, email,"),
        ("Dear {{ first_name }}", "Dear {{ }}", r"\{\{  \}\} is no data item"),
        ("Dear {{ first_name }}", "Dear {{ First_name }}", r"\{\{ First_name \}\} is no data item"),
        ("<a href='{{ link }}'>open</a>", "<a>open</a>", r"has no \{\{ link \}\}"),
        ('        text: "{{ link }}"\n        html', '        text: "no"\n        html', r"has no \{\{ link \}\}"),
        ('        text: "{{ link }}"\n  - phase', '        text: "no"\n  - phase', r"has no \{\{ link \}\}"),
    ],
)
def test_what_does_not_hold_together_is_refused(part: str, instead: str, words: str) -> None:
    with pytest.raises(DefinitionProblem, match=rf"^motor\.yaml, line \d+: .*{words}"):
        read(without(part, instead))


@pytest.mark.parametrize(
    ("part", "instead", "line"),
    [
        ("default_region: GB", "default_region: UK", 3),
        ("{name: email, type: email}", "{name: first_name, type: email}", 6),
        ("Dear {{ first_name }}", "Dear {{ name }}", 20),
        ("<a href='{{ link }}'>open</a>", "<a>open</a>", 22),
        ("phase: review", "phase: start", 26),
    ],
)
def test_what_does_not_hold_together_is_named_with_its_line(part: str, instead: str, line: int) -> None:
    with pytest.raises(DefinitionProblem, match=rf"^motor\.yaml, line {line}: "):
        read(without(part, instead))


@pytest.mark.parametrize(
    "text", ["{{first_name}}", "{{  first_name  }}", "{ first_name }", "100 %", "{{ day }} {{link}}"]
)
def test_placeholders_may_be_spaced_as_people_like(text: str) -> None:
    read(without("Dear {{ first_name }}", text))


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "just words", "42", "null"])
def test_what_is_no_definition_is_refused(text: str) -> None:
    with pytest.raises(DefinitionProblem, match=r"^motor\.yaml holds no process definition"):
        read(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("key: motor\nname: [unclosed\n", 3),
        ("key: motor\n\tname: x\n", 2),
        ("a: 1\nb: *missing\n", 2),
        ("a: !!python/name:os.system x\n", 1),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(DefinitionProblem, match=rf"^motor\.yaml, line {line}: not valid YAML"):
        read(text)


@pytest.mark.parametrize("text", ["a: \x00\n", "a: 1\n---\nb: 2\n", "? [a]\n: 1\n"])
def test_no_other_text_gets_through_either(text: str) -> None:
    with pytest.raises(DefinitionProblem, match=r"^motor\.yaml"):
        read(text)


@pytest.mark.parametrize("value", ["2020-13-45", "!!int x", "!!float x"])
def test_a_value_that_yaml_cannot_make_is_refused(value: str) -> None:
    with pytest.raises(DefinitionProblem):
        read(without("name: Motor\n", f"name: {value}\n"))


def test_a_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(DefinitionProblem, match="line 3"):
        read(without("name: Motor\n", "name: Motor\nname: Other\n"))


@pytest.mark.parametrize(
    ("part", "longest"),
    [
        ("key: motor", "key: " + "a" * 63),
        ("name: Motor", "name: " + "n" * 200),
        ("name: cover", "name: " + "c" * 63),
        ('"+15005550006"\n        text: "', '"+15005550006"\n        text: "' + "x" * (1600 - len("{{ link }}"))),
    ],
)
def test_a_text_may_be_as_long_as_its_limit_and_no_longer(part: str, longest: str) -> None:
    read(without(part, longest))
    with pytest.raises(DefinitionProblem):
        read(without(part, longest + longest[-1]))


@given(st.text(max_size=80))
def test_whatever_is_read_is_refused_in_words_or_is_a_definition(text: str) -> None:
    with contextlib.suppress(DefinitionProblem):
        read(text)


@pytest.mark.parametrize("pattern", ["%Q", "%d.%m", "soon"])
def test_a_date_format_that_does_not_give_the_day_back_is_refused(pattern: str) -> None:
    with pytest.raises(DefinitionProblem, match="cannot be read back as a day"):
        read_definition(
            f'key: a\nname: A\ndefault_region: GB\ndata_items: [{{name: day, type: date, format: "{pattern}"}}]',
            name="a.yaml",
        )


@pytest.mark.parametrize("pattern", ["%d.%m.%Y", "%m/%d/%Y", "%d %B %Y"])
def test_a_date_format_that_gives_the_day_back_is_taken(pattern: str) -> None:
    read_definition(
        f'key: a\nname: A\ndefault_region: GB\ndata_items: [{{name: day, type: date, format: "{pattern}"}}]',
        name="a.yaml",
    )


def test_a_country_and_a_choice_are_no_truth_values() -> None:
    """YAML 1.1 takes the code of Norway, and yes and no among choices, for true and false."""
    definition = read(
        without("default_region: GB", "default_region: NO")
        .replace("[A, B]", "[Yes, no, on]")
        .replace("required: true", "required: yes")
    )

    assert (definition.default_region, definition.data_items[0].required) == ("NO", True)
    assert definition.data_items[3].choices == ("Yes", "no", "on")
