"""Runs LocalStack's Lambda functions as processes of this machine, the way Lambda runs them. No Docker.

LocalStack decides when an environment is made, reused and removed; this package is what such an environment is made of:

    plugin       how LocalStack finds us                executor     LocalStack's interface, and nothing else
    environment  one environment: init, invoke, reset   process      its process: start, output, end
    runtime_api  the HTTP interface it is served        failures     what can go wrong, as Lambda words it
    archives     code and layers, unpacked once         variables    its environment variables
    report       what Lambda adds to a function's log   function/    what runs inside of the function's process

The interpreter that functions run on has AWS's own runtime client (`awslambdaric`) installed and nothing else, so that
a dependency that is in no layer is missing here too.

Every process has its function's name and version on its command line. To see the environments of one function, or to
kill them as a crash would:

    pgrep -af 'bootstrap.py guilder-local-payments-write:'
    pkill -KILL -f 'bootstrap.py guilder-local-payments-write:'

Where this differs from Lambda: memory is reported and not limited; `/var/task`, `/opt` and `/tmp` lie elsewhere (ask
LAMBDA_TASK_ROOT, `sys.path` and TMPDIR); the code is not on a read-only file system; an environment that waits is not
frozen.
"""
