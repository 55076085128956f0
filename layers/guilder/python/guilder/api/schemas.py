"""What comes in and what goes out, as the API document shows it. ``payments`` renders the answers; a test holds the two together."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from guilder.money import EXPONENTS, MAX_AMOUNT
from guilder.states import Status

METADATA_KEYS = 50
METADATA_BYTES = 8192


def _known_currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError("is not an ISO 4217 currency code, in upper case")
    return code


def _small_enough(metadata: dict[str, str]) -> dict[str, str]:
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > METADATA_BYTES:
        raise ValueError(f"is over {METADATA_BYTES} bytes in total")
    return metadata


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a null character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return text


Text = Annotated[str, AfterValidator(_storable)]
Amount = Annotated[
    int,
    Field(
        strict=True, ge=1, le=MAX_AMOUNT, description="In minor units: 1050 in EUR is 10.50 euros, in JPY 1,050 yen."
    ),
]
Currency = Annotated[
    str, Field(min_length=3, max_length=3, description="ISO 4217 code, upper case."), AfterValidator(_known_currency)
]
Metadata = Annotated[
    dict[Annotated[Text, Field(min_length=1, max_length=40)], Annotated[Text, Field(max_length=500)]],
    Field(max_length=METADATA_KEYS, description="Up to 50 keys of your own, 8 KB in total."),
    AfterValidator(_small_enough),
]


class CreatePayment(BaseModel):
    """A payment to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"amount": 1050, "currency": "EUR", "payment_method": "tok_visa", "merchant_reference": "order-1001"}
            ]
        },
    )

    amount: Amount
    currency: Currency
    payment_method: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_]{1,255}$", description="A token from the processor. A card number is refused."),
    ]
    capture_method: Annotated[
        Literal["automatic", "manual"],
        Field(description="`manual` authorizes only; the money is captured by a later call."),
    ] = "automatic"
    customer: Annotated[Text, Field(min_length=1, max_length=255)] | None = None
    merchant_reference: (
        Annotated[Text, Field(min_length=1, max_length=255, description="Your own number; unique for ever.")] | None
    ) = None
    description: Annotated[Text, Field(max_length=1000)] | None = None
    metadata: Metadata = {}
    confirm: Annotated[bool, Field(strict=True, description="`false`: charge nothing until it is confirmed.")] = True


class CapturePayment(BaseModel):
    """A capture. Without an amount: all that is left."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"amount": 500}, {}]})

    amount: Amount | None = None


class Nothing(BaseModel):
    """A call that takes no fields: an empty body, or `{}`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})


class CreateRefund(BaseModel):
    """A refund to be made. Without an amount: all that is left."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"payment": "pay_7Z06FB9VQ9ENSXR7J8KBJ5N4A3VC", "amount": 500}]}
    )

    payment: Annotated[str, Field(min_length=1, max_length=64)]
    amount: Amount | None = None
    reason: Annotated[Text, Field(min_length=1, max_length=255)] | None = None
    metadata: Metadata = {}


class Failure(BaseModel):
    """Why a payment failed."""

    code: Annotated[str, Field(description="Stable; docs/api.md lists them.")]
    message: str
    processor_code: str | None


class NextAction(BaseModel):
    """What the payer must do."""

    type: Literal["redirect"]
    redirect_url: str


class Payment(BaseModel):
    """A payment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "pay_7Z06FB9VQ9ENSXR7J8KBJ5N4A3VC",
                    "object": "payment",
                    "amount": 1050,
                    "currency": "EUR",
                    "status": "succeeded",
                    "capture_method": "automatic",
                    "amount_capturable": 0,
                    "amount_captured": 1050,
                    "amount_refunded": 0,
                    "payment_method": "tok_visa",
                    "customer": None,
                    "merchant_reference": "order-1001",
                    "description": None,
                    "metadata": {},
                    "failure": None,
                    "next_action": None,
                    "cancellation_reason": None,
                    "authorization_expires_at": None,
                    "review": None,
                    "processor": "simulator",
                    "livemode": False,
                    "version": 2,
                    "created_at": "2026-11-23T09:30:00.123456Z",
                    "updated_at": "2026-11-23T09:30:00.456789Z",
                }
            ]
        }
    )

    id: str
    object: Literal["payment"]
    amount: int
    currency: str
    status: Status
    capture_method: Literal["automatic", "manual"]
    amount_capturable: int
    amount_captured: int
    amount_refunded: int
    payment_method: str
    customer: str | None
    merchant_reference: str | None
    description: str | None
    metadata: dict[str, str]
    failure: Failure | None
    next_action: NextAction | None
    cancellation_reason: Literal["requested", "authorization_expired"] | None
    authorization_expires_at: Annotated[datetime | None, Field(description="Until then it can be captured.")]
    review: Annotated[
        Literal["late_success_reversed"] | None,
        Field(
            description="`late_success_reversed`: the processor charged after the payment had failed; the charge was given back."
        ),
    ]
    processor: str
    livemode: bool
    version: int
    created_at: datetime
    updated_at: datetime


class Refund(BaseModel):
    """A refund."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "ref_7Z06FB9VQ9ENSXR7J8KBJ5N4A3VD",
                    "object": "refund",
                    "payment": "pay_7Z06FB9VQ9ENSXR7J8KBJ5N4A3VC",
                    "amount": 500,
                    "currency": "EUR",
                    "status": "succeeded",
                    "reason": None,
                    "metadata": {},
                    "failure": None,
                    "processor": "simulator",
                    "livemode": False,
                    "version": 2,
                    "created_at": "2026-11-23T09:31:00.123456Z",
                    "updated_at": "2026-11-23T09:31:00.456789Z",
                }
            ]
        }
    )

    id: str
    object: Literal["refund"]
    payment: str
    amount: int
    currency: str
    status: Literal["pending", "succeeded", "failed"]
    reason: str | None
    metadata: dict[str, str]
    failure: Failure | None
    processor: str
    livemode: bool
    version: int
    created_at: datetime
    updated_at: datetime


class FieldError(BaseModel):
    """One field that is wrong."""

    pointer: Annotated[str, Field(description="JSON pointer to the field, or the name of a parameter.")]
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    retryable: Annotated[bool, Field(description="The same request may succeed later.")]
    request_id: str
    errors: list[FieldError] | None = None
