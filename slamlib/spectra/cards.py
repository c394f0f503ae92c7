"""Header cards that would make a FITS reader loop or fill memory, refused before it is called."""

import re

from slamlib.errors import InputError

_BLOCK, _CARD = 2880, 80
# The standard's own limit of dimensions and of columns (FITS 4.0, sections 4.4.1 and 7.3.1).
_MOST = 999
_COUNTED = re.compile(rb"(NAXIS|TFIELDS|BITPIX|PCOUNT|GCOUNT|NAXIS\d+) *= *([^/]*)")
# A power of a unit with so many digits means nothing, and takes for ever to compute.
_UNIT = re.compile(rb"(?:CUNIT|TUNIT|BUNIT)\d* *= *'[^']*\d{5}")


def check_cards(content):
    """Refuse a FITS file whose headers announce more than the file holds.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    InputError
        Naming the card.
    """
    at = 0
    while at + _BLOCK <= len(content):
        end = _end_of_header(content, at)
        counts = {"NAXIS": 0, "TFIELDS": 0, "BITPIX": 8, "PCOUNT": 0, "GCOUNT": 1}
        for start in range(at, end, _CARD):
            card = content[start : start + _CARD]
            if _UNIT.match(card):
                raise InputError(f"its card {card.decode('ascii', 'replace').strip()!r} is no unit")
            if found := _COUNTED.match(card):
                counts[found.group(1).decode()] = _whole(card, found.group(2))
        for name in ("NAXIS", "TFIELDS"):
            if not 0 <= counts[name] <= _MOST:
                raise InputError(f"its header says {name} = {counts[name]}, where {_MOST} is the most")
        at = -(-(end + _size(counts, len(content))) // _BLOCK) * _BLOCK


def _end_of_header(content, at):
    """Where the header that begins at `at` ends; at the end of the file if it has no END."""
    for start in range(at, len(content), _CARD):
        if content[start : start + 8].rstrip() == b"END":
            return -(-(start + _CARD) // _BLOCK) * _BLOCK
    return len(content)


def _whole(card, value):
    try:
        return int(value)
    except ValueError:
        raise InputError(
            f"its card {card.decode('ascii', 'replace').strip()!r} holds no whole number"
        ) from None


def _size(counts, limit):
    """Bytes of the data of a header; InputError if they are more than `limit`."""
    size = 1 if counts["NAXIS"] else 0
    for axis in range(1, counts["NAXIS"] + 1):
        size *= counts.get(f"NAXIS{axis}", 0)
    size = abs(counts["BITPIX"]) // 8 * counts["GCOUNT"] * (counts["PCOUNT"] + size)
    if not 0 <= size <= limit:
        raise InputError(
            f"damaged or cut short: its header announces {size:.3g} bytes of data in a file of {limit}; "
            "fetch it again"
        )
    return size
