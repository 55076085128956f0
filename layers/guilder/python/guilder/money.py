"""Money in minor units of an ISO 4217 currency. There are no floats here, ever."""

from dataclasses import dataclass

MAX_AMOUNT = 999_999_999_999
"""The largest amount of one payment, in minor units: far below 2**53, so that every JSON reader keeps it exact."""

_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE
CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK
LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON
RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST
XAD XCD XCG YER ZAR ZMW ZWG
"""
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

EXPONENTS: dict[str, int] = {
    code: exponent
    for exponent, codes in ((0, _NO_DECIMALS), (2, _TWO_DECIMALS), (3, _THREE_DECIMALS), (4, _FOUR_DECIMALS))
    for code in codes.split()
}
"""Decimal places of each currency's minor unit (ISO 4217 list one, as amended to 2026; funds codes included, metals and test codes not)."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (1050 EUR is 10.50 euros, 1050 JPY is 1,050 yen).

    Raises:
        ValueError: the currency is unknown, or the amount is not a whole number.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in EXPONENTS:
            raise ValueError(f"unknown currency {self.currency!r}: use an upper-case ISO 4217 code")
        if type(self.amount) is not int:
            raise ValueError("an amount is a whole number of minor units")

    def __str__(self) -> str:
        """Show as people write it, for logs and terminals: ``10.50 EUR``."""
        exponent = EXPONENTS[self.currency]
        sign = "-" if self.amount < 0 else ""
        digits = str(abs(self.amount)).rjust(exponent + 1, "0")
        whole = digits[: len(digits) - exponent]
        return f"{sign}{whole}{'.' if exponent else ''}{digits[len(digits) - exponent :]} {self.currency}"
