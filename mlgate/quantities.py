"""Parse and print quantities with their units: "250ms", "0.1%", "100/s", "1GiB", "7d". Pure."""

import math
import re

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
# 274 years. A lock waits for no longer than 292 (threading.TIMEOUT_MAX), and nobody means to.
_MAX_DURATION_S = 100_000 * 86400.0
_SIZES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


def _split(text: object, units: tuple[str, ...], example: str) -> tuple[float, str]:
    if not isinstance(text, str):
        raise ValueError(f"'{text}' has no unit; write it like {example}")  # noqa: TRY004  (one error type for the policy)
    match = re.fullmatch(_NUMBER + r"\s*([A-Za-z%/]+)", text.strip())
    if match is None or match.group(2) not in units:
        raise ValueError(f"'{text}' is not a quantity in {', '.join(units)}; write it like {example}")
    number = float(match.group(1))
    if math.isinf(number):
        raise ValueError(f"'{text[:20]}…' is more than a number can hold; write it like {example}")
    return number, match.group(2)


def parse_duration(text: object) -> float:
    """Return the seconds in a text such as `250ms`, `10s`, `5m`, `7d`.

    Raises:
        ValueError: A bare number, an unknown unit, a negative value, or more than 100 000 days.
    """
    number, unit = _split(text, tuple(_DURATIONS), "250ms, 10s or 7d")
    seconds = number * _DURATIONS[unit]
    if seconds > _MAX_DURATION_S:
        raise ValueError(f"'{str(text)[:20]}' is longer than {_MAX_DURATION_S / 86400:.0f}d, the longest there is")
    return seconds


def parse_percent(text: object) -> float:
    """Return the fraction in a text such as `0.5%`: 0.005.

    Raises:
        ValueError: A bare number, or outside 0 to 100 %.
    """
    number, _ = _split(text, ("%",), "0.5%")
    if not 0 <= number <= 100:
        raise ValueError(f"'{text}' is outside 0% to 100%")
    return number / 100


def parse_rate(text: object) -> float:
    """Return the events per second in a text such as `100/s` or `600/min`.

    Raises:
        ValueError: A bare number, an unknown unit or zero.
    """
    number, unit = _split(text, ("/s", "/min", "/h"), "100/s")
    if number == 0:
        raise ValueError(f"'{text}' is no rate; it must be above zero")
    return number / {"/s": 1, "/min": 60, "/h": 3600}[unit]


def parse_size(text: object) -> int:
    """Return the bytes in a text such as `1GiB` or `900MiB`.

    Raises:
        ValueError: A bare number, an unknown unit or zero.
    """
    number, unit = _split(text, tuple(_SIZES), "900MiB or 1GiB")
    size = round(number * _SIZES[unit])
    if size == 0:
        raise ValueError(f"'{text}' is no size; it must be above zero")
    return size


def format_number(value: float, digits: int = 4) -> str:
    """Print *value* with *digits* significant digits and a space between thousands: `6 000`, `0.8312`, `1e+20`."""
    if abs(value) < 2**53 and value == int(value):
        return f"{int(value):,}".replace(",", " ")
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}".replace(",", " ") if "e+" in text and abs(value) < 2**53 else text


def format_duration(seconds: float) -> str:
    """Print seconds in the unit that a person would choose: `41.2 ms`, `2.61 s`, `4 min 10 s`."""
    if seconds < 1:
        return f"{format_number(seconds * 1000, 3)} ms"
    if seconds < 120:
        return f"{format_number(seconds, 3)} s"
    if seconds < 7200:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 172800:
        return f"{format_number(seconds / 3600, 3)} h"
    return f"{format_number(seconds / 86400, 3)} d"


def format_size(size: float) -> str:
    """Print bytes in binary units: `1 GiB`, `893.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{format_number(round(size, 1))} {unit}"
        size /= 1024
    return f"{format_number(round(size, 1))} TiB"


def format_share(share: float) -> str:
    """Print a fraction as a percentage: `0.5 %`."""
    return f"{format_number(share * 100, 3)} %"


def format_measured(value: float, unit: str) -> str:
    """Print a measured *value* in *unit* (`s`, `ms`, `share`, `bytes`, `1/s`, or a metric's own, empty)."""
    match unit:
        case "s":
            return format_duration(value)
        case "ms":
            return format_duration(value / 1000)
        case "share":
            return format_share(value)
        case "bytes":
            return format_size(value)
        case "1/s":
            return f"{format_number(value, 3)}/s"
        case _:
            return f"{format_number(value)} {unit}".strip()
