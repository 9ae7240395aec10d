"""How many segments an SMS takes: GSM-7 where every character allows it, else UCS-2."""

_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
_EXTENDED = set("^{}\\[~]|€\f")
_GSM_7 = (160, 153)
_UCS_2 = (70, 67)


def count_segments(body: str) -> int:
    """Segments of `body`; an empty body takes one."""
    if all(char in _BASIC or char in _EXTENDED for char in body):
        units = sum(2 if char in _EXTENDED else 1 for char in body)
        single, joined = _GSM_7
    else:
        units = len(body.encode("utf-16-le")) // 2
        single, joined = _UCS_2
    return 1 if units <= single else -(-units // joined)
