"""The page on which a shopper approves or declines a charge: the simulator's stand-in for 3-D Secure."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from .charges import Charge, Status
from .errors import InvalidRequestError

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Confirm your payment</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem; }}
  button {{ font: inherit; padding: .5rem 1.5rem; margin-right: .5rem; }}
</style>
<h1>{heading}</h1>
<p>Reference {reference}: {amount} {currency} in minor units.</p>
{form}
</html>
"""
FORM = """<form method="post">
<button name="outcome" value="approve">Approve</button>
<button name="outcome" value="decline">Decline</button>
</form>"""


def render(charge: Charge) -> str:
    """The page, with buttons as long as the charge awaits the shopper."""
    waiting = charge.status is Status.REQUIRES_ACTION
    return PAGE.format(
        heading="Confirm your payment" if waiting else f"This payment is {escape(charge.status)}.",
        reference=escape(charge.reference),
        amount=charge.amount,
        currency=escape(charge.currency),
        form=FORM if waiting else "",
    )


def approved(form: bytes) -> bool:
    """Read `outcome=approve` or `outcome=decline` from a posted form."""
    outcome = parse_qs(form.decode("utf-8", "replace")).get("outcome", [""])[0]
    if outcome not in ("approve", "decline"):
        raise InvalidRequestError("outcome must be approve or decline.", code="invalid_outcome")
    return outcome == "approve"
