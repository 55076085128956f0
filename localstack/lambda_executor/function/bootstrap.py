# ruff: noqa: INP001  (a script for another interpreter)
"""The main module of every function's process: what Lambda's own bootstrap does, without Lambda's file system.

It runs on the functions' interpreter, so it imports the standard library and AWS's runtime client and nothing else.

    bootstrap.py <function name>:<version> <what /opt is>

The first argument is only there to be seen (`pgrep -f`).
"""

import _thread
import fcntl
import os
import signal
import site
import sys
from pathlib import Path


def end_with_localstack() -> None:
    """Kill this session when standard input ends, which is when the process that started us has ended.

    On Linux the kernel does it, even while the function holds the interpreter's lock. Elsewhere a thread waits.
    """
    lifeline = os.dup(0)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    _thread.start_new_thread(await_end, (lifeline,))


def await_end(lifeline: int) -> None:
    """Read until the end, which may have come before the kernel was told to look."""
    while os.read(lifeline, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def set_path(task_root: Path, opt: Path) -> None:
    """Put the function's code first, then the layers, as Lambda does; follow the `.pth` files in both."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    directories = [task_root]
    if "PYTHONPATH" not in os.environ:
        directories += [opt / "python" / "lib" / version / "site-packages", opt / "python"]
        os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]
    sys.path[:0] = map(str, directories)
    for directory in filter(Path.is_dir, directories):
        site.addsitedir(str(directory))


def main() -> None:
    """Hand over to AWS's runtime client, which does not return."""
    end_with_localstack()
    opt = Path(sys.argv[2])
    del sys.argv[1:]
    set_path(Path(os.environ["LAMBDA_TASK_ROOT"]), opt)
    # Its native part is made for Linux alone; where it is missing, ours is found instead.
    sys.path.append(str(Path(__file__).with_name("portable")))
    import awslambdaric.__main__ as runtime  # type: ignore[import-not-found]

    runtime.main([sys.argv[0], os.environ["_HANDLER"]])


main()
