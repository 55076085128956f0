"""The local stack gets by without PgBouncer; the tests do not: they stand in for a proxy that pools transactions."""

from devstack.services import Services


def test_the_services_are_reached_through_pgbouncer(services: Services) -> None:
    assert services.pooled, (
        "install PgBouncer (apt-get install pgbouncer, brew install pgbouncer) and run the tests again"
    )
