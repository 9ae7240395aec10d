"""Whether JSON has the form that SendGrid's mail/send describes, before any rule looks at its content."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Misfit:
    """One place where the form is wrong; `path` is None where SendGrid does not say the place."""

    message: str
    path: str | None


@dataclass(frozen=True, slots=True)
class Arr:
    """A list of items of one form."""

    of: "Spec"


@dataclass(frozen=True, slots=True)
class Obj:
    """An object; unless it is open, a property that is not named here is refused."""

    fields: Mapping[str, "Spec"]
    is_open: bool = False


Spec = str | Arr | Obj
"""`strings` is an object of texts: for another value SendGrid says only "Bad Request"."""

ADDRESS = Obj({"email": "string", "name": "string"})
PERSONALIZATION = Obj(
    {
        "from": ADDRESS,
        "to": Arr(ADDRESS),
        "cc": Arr(ADDRESS),
        "bcc": Arr(ADDRESS),
        "subject": "string",
        "headers": "strings",
        "substitutions": "strings",
        "dynamic_template_data": "object",
        "custom_args": "strings",
        "send_at": "integer",
    },
)
ATTACHMENT = Obj(dict.fromkeys(("content", "type", "filename", "disposition", "content_id"), "string"))
MAIL_SETTINGS = Obj({"sandbox_mode": Obj({"enable": "boolean"}, is_open=True)}, is_open=True)
BODY = Obj(
    {
        "personalizations": Arr(PERSONALIZATION),
        "from": ADDRESS,
        "reply_to": ADDRESS,
        "reply_to_list": Arr(ADDRESS),
        "subject": "string",
        "content": Arr(Obj({"type": "string", "value": "string"})),
        "attachments": Arr(ATTACHMENT),
        "template_id": "string",
        "sections": "strings",
        "headers": "strings",
        "categories": Arr("string"),
        "custom_args": "strings",
        "send_at": "integer",
        "batch_id": "string",
        "asm": Obj({"group_id": "integer", "groups_to_display": Arr("integer")}),
        "ip_pool_name": "string",
        "mail_settings": MAIL_SETTINGS,
        "tracking_settings": "object",
    },
)

_TEXT = frozenset({str})
_NAMES: dict[type, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def misfits(value: object, spec: Spec = BODY, path: str = "") -> Iterator[Misfit]:
    """Every place where `value` has not the form `spec`, in reading order."""
    if isinstance(spec, str):
        yield from _scalar(value, spec, path)
    elif isinstance(spec, Arr):
        yield from _array(value, spec.of, path)
    else:
        yield from _object(value, spec, path)


def _scalar(value: object, expected: str, path: str) -> Iterator[Misfit]:
    given = _NAMES[type(value)]
    if expected == "strings" and given == "object":
        if not _TEXT.issuperset(map(type, _values(value))):
            yield Misfit("Bad Request", None)
    elif given != expected.replace("strings", "object"):
        yield _wrong_type(given, expected.replace("strings", "object"), path)


def _values(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else ()


def _array(value: object, of: Spec, path: str) -> Iterator[Misfit]:
    if not isinstance(value, list):
        yield _wrong_type(_NAMES[type(value)], "array", path)
        return
    for index, item in enumerate(value):
        yield from misfits(item, of, f"{path}.{index}")


def _object(value: object, spec: Obj, path: str) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        yield _wrong_type(_NAMES[type(value)], "object", path)
        return
    for name, item in value.items():
        known = spec.fields.get(name)
        if known == "string" and type(item) is str:
            continue  # most of a large request: told apart here it takes a third of the time
        if known is not None:
            yield from misfits(item, known, f"{path}.{name}" if path else name)
        elif not spec.is_open:
            yield Misfit(f"Additional property {name} is not allowed", path or None)


def _wrong_type(given: str, expected: str, path: str) -> Misfit:
    return Misfit(f"Invalid type. Expected: {expected}, given: {given}.", path or None)
