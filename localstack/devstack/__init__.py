"""Guilder on one machine: the local services, their start, their repair and their end.

`make up` is `python -m devstack up` and `make down` is `python -m devstack down`. The way through the package:

    up        the steps and their order                    down      the reverse
    services  PostgreSQL, Valkey, PgBouncer, simulator     deploy    layers, CDK and LocalStack
    demo      the payment that `make up` ends with         console   what the terminal shows

Everything that is made lies in one directory, `.local/` (see `paths`), and nothing outside of it is stopped or deleted.
"""
