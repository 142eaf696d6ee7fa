"""Money: integer minor units inside, a decimal number outside."""

from decimal import Decimal

# ISO 4217: digits after the point, where they are not two.
_NO_DIGITS = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV")
_NO_DIGITS_FRANCS = ("XAF", "XOF", "XPF")
_THREE_DIGITS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_EXPONENTS = dict.fromkeys(_NO_DIGITS + _NO_DIGITS_FRANCS, 0) | dict.fromkeys(_THREE_DIGITS, 3)


class BadAmountError(ValueError):
    """An amount that the currency cannot express."""


def exponent(currency: str) -> int:
    """Digits after the point of an amount in this currency."""
    return _EXPONENTS.get(currency, 2)


def to_text(minor: int, currency: str) -> str:
    """Minor units as the decimal number that is shown: 1899 EUR is ``18.99``, 1899 JPY is ``1899``."""
    digits = exponent(currency)
    if digits == 0:
        return str(minor)
    sign, text = ("-", str(-minor)) if minor < 0 else ("", str(minor))
    text = text.zfill(digits + 1)
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


def to_minor(amount: Decimal, currency: str) -> int:
    """The minor units of a decimal amount.

    Raises:
        BadAmountError: it has more digits than the currency knows, or is no number.
    """
    scaled = amount.scaleb(exponent(currency)) if amount.is_finite() else amount
    if not scaled.is_finite() or scaled != int(scaled):
        raise BadAmountError(f"{amount} is no amount in {currency}: {exponent(currency)} digits after the point")
    return int(scaled)
