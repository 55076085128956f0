"""How LocalStack finds this executor: an entry point, chosen by LAMBDA_RUNTIME_EXECUTOR=process."""

from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin  # type: ignore[import-not-found]


class ProcessExecutorPlugin(RuntimeExecutorPlugin):  # type: ignore[misc]
    """Names the executor; the class itself is loaded when the first function is made."""

    name = "process"

    def load(self, *_args: object, **_kwargs: object) -> type:
        """LocalStack's hook: the class that it makes one object of for each environment."""
        from lambda_executor.executor import ProcessExecutor

        return ProcessExecutor
