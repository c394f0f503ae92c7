"""What one file may cost: header cards that would make a FITS reader loop or fill memory are refused."""

import re
import warnings

from astropy.io import fits

from slamlib.errors import InputError
from slamlib.io import MAX_SIZE

_BLOCK, _CARD = 2880, 80
# The standard's own limit of dimensions and of columns (FITS 4.0, sections 4.4.1 and 7.3.1).
_MOST = 999
# HDUs of a file, and blocks of a header: surveys have some ten of each.
_MOST_HDUS, _MOST_BLOCKS = 999, 999
_COUNTED = re.compile(rb"(Z?(?:NAXIS|BITPIX)|TFIELDS|PCOUNT|GCOUNT|(?:ZNAXIS|ZTILE|NAXIS)\d+) *= *([^/]*)")
# What every reader can parse; any other value is tried.
_PLAIN = re.compile(rb".{8}= +(?:'[^']*'|[TF]|[+-]?\d+\.?\d*(?:[ED][+-]?\d+)?) *(?:/.*)?$", re.DOTALL)
# A power of a unit with so many digits means nothing, and takes for ever to compute.
_UNIT = re.compile(rb"(?:CUNIT|TUNIT|BUNIT)\d* *= *'[^']*\d{5}")


def check_cards(content):
    """Refuse a FITS file whose headers announce more than the file holds, or than any spectrum has.

    Returns the bytes of the file, with cards whose value cannot be read as comments: such a card costs no
    more than itself. InputError names the card that is refused.
    """
    at, hdus, unreadable = 0, 0, []
    while at + _BLOCK <= len(content):
        hdus += 1
        if hdus > _MOST_HDUS:
            raise InputError(f"more than {_MOST_HDUS} HDUs, which no spectrum has")
        end = _end_of_header(content, at)
        counts = {"NAXIS": 0, "TFIELDS": 0, "BITPIX": 8, "PCOUNT": 0, "GCOUNT": 1, "ZNAXIS": 0, "ZBITPIX": 8}
        for start in range(at, end, _CARD):
            card = content[start : start + _CARD]
            if _UNIT.match(card):
                raise InputError(f"its card {card.decode('ascii', 'replace').strip()!r} is no unit")
            if found := _COUNTED.match(card):
                counts[found.group(1).decode()] = _whole(card, found.group(2))
            elif card[8:10] == b"= " and not _PLAIN.match(card) and not _is_readable(card):
                unreadable.append(start)
        for name in ("NAXIS", "TFIELDS", "ZNAXIS"):
            if not 0 <= counts[name] <= _MOST:
                raise InputError(f"its header says {name} = {counts[name]}, where {_MOST} is the most")
        data = _size(counts, "NAXIS", len(content))
        for name in ("ZNAXIS", "ZTILE"):
            # An image that is unpacked tile by tile.
            _size(counts | {"PCOUNT": 0, "GCOUNT": 1, "BITPIX": counts["ZBITPIX"]}, name, MAX_SIZE)
        at = -(-(end + data) // _BLOCK) * _BLOCK
    if unreadable:
        content = bytearray(content)
        for start in unreadable:
            content[start : start + 10] = b"COMMENT   "
    return bytes(content)


def _is_readable(card):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            str(fits.Card.fromstring(card).value)
        except Exception:  # as of any damage
            return False
    return True


def _end_of_header(content, at):
    """Where the header that begins at `at` ends; at the end of the file if it has no END."""
    most = at + _MOST_BLOCKS * _BLOCK
    for start in range(at, min(len(content), most), _CARD):
        if content[start : start + 8].rstrip() == b"END":
            return -(-(start + _CARD) // _BLOCK) * _BLOCK
    if len(content) > most:
        raise InputError(f"a header of more than {_MOST_BLOCKS} blocks, which no spectrum has")
    return len(content)


def _whole(card, value):
    try:
        return int(value)
    except ValueError:
        text = card.decode("ascii", "replace").strip()
        raise InputError(f"its card {text!r} holds no whole number") from None


def _size(counts, axes, limit):
    """Bytes of data that a header announces by cards named `axes`; InputError if they are beyond `limit`."""
    number = counts["ZNAXIS" if axes == "ZTILE" else axes]
    size = 1 if number else 0
    for axis in range(1, number + 1):
        size *= counts.get(f"{axes}{axis}", 1 if axes == "ZTILE" else 0)
    size = abs(counts["BITPIX"]) // 8 * counts["GCOUNT"] * (counts["PCOUNT"] + size)
    if not 0 <= size <= limit:
        raise InputError(
            f"damaged or cut short: its header announces {size:.3g} bytes of data in a file of {limit}; "
            "fetch it again"
            if axes == "NAXIS"
            else f"its header announces {size:.3g} bytes once unpacked, which no spectrum has"
        )
    return size
