"""`make up`: the steps from nothing to a payment. Every step finds out for itself whether there is anything to do."""

import time
from collections.abc import Sequence

from rich.console import Console

from devstack import console as screen
from devstack import demo, deploy, localstack_server, locks, node, outputs, services, steps
from devstack.deploy import Deployment
from devstack.outputs import Merchant
from devstack.stack import Stack
from devstack.steps import Step

BUSY = "another `make up` or `make down` is at work here"


def up(stack: Stack, console: Console) -> None:
    """Start what does not run, deploy what has changed, and make a payment.

    Raises:
        StepError: a step failed.
        BusyError: somebody else is at it.
    """
    began = time.monotonic()
    with locks.exclusive(stack.paths.run / "up.lock", wait_seconds=0, message=BUSY):
        journey = Journey(stack)
        with screen.Progress(console) as progress:
            steps.run(journey.steps(), progress)
        screen.show_payment(console, journey.exchange, journey.outputs, stack.paths.outputs)
    console.print(f"\n[dim]{time.monotonic() - began:.1f} s[/]", highlight=False)


class Journey:
    """One run: the steps, and what the later ones need of the earlier ones."""

    exchange: demo.Exchange
    outputs: outputs.Outputs
    _deployment: Deployment
    _merchant: Merchant

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def steps(self) -> Sequence[Step]:
        """All steps and their order."""
        stack = self._stack
        return (
            *services.service_steps(stack),
            Step("LocalStack environment", lambda: localstack_server.install(stack.paths)),
            Step("CDK command line", lambda: node.install(stack)),
            Step("Lambda layer", lambda: deploy.build_layer(stack)),
            # Whether there is a PgBouncer decides what the functions are told.
            Step("Plan", self._plan, after=("PgBouncer installation",)),
            Step("LocalStack", lambda: self._deployment.start_localstack(), after=("Plan", "LocalStack environment")),
            Step("CDK synthesis", lambda: self._deployment.synthesise(), after=("Plan", "Lambda layer")),
            Step(
                "CDK deployment",
                lambda: self._deployment.deploy(),
                after=("LocalStack", "CDK synthesis", "CDK command line"),
            ),
            Step("Migrations", lambda: demo.migrate(stack), after=("CDK deployment", "PostgreSQL")),
            Step("Demo merchant", self._find_merchant, after=("Migrations", "PgBouncer", "Valkey")),
            Step("Payment", self._pay, after=("Demo merchant", "Processor simulator", "PostgreSQL replica")),
        )

    def _plan(self) -> None:
        self._deployment = Deployment.of(self._stack)

    def _find_merchant(self) -> str:
        self._merchant = demo.merchant(self._stack)
        self.outputs = outputs.write(self._stack, self._merchant)
        return self._merchant.merchant_id

    def _pay(self) -> str:
        self.exchange = demo.pay(self._stack, self._merchant)
        return str(self.exchange.payment["id"])
