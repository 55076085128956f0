"""The payment's life: every step that the table has is taken, every other is refused."""

from itertools import product

import pytest
from guilder.states import FINAL, TRANSITIONS, IllegalTransition, Status, advance


@pytest.mark.parametrize(("current", "following"), list(product(Status, Status)))
def test_exactly_the_tables_steps(current: Status, following: Status) -> None:
    if following in TRANSITIONS[current]:
        assert advance(current, following) is following
    else:
        with pytest.raises(IllegalTransition, match=f"from {current} to {following}"):
            advance(current, following)


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELED} == FINAL
    reached = {Status.REQUIRES_CONFIRMATION, Status.PROCESSING} | {
        status for steps in TRANSITIONS.values() for status in steps
    }
    assert reached == set(Status)
