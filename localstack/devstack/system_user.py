"""PostgreSQL and PgBouncer refuse to run as root. Where we are root, they run as an account without rights."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from devstack.errors import StackError

ACCOUNT = "guilder-local"


def unprivileged_user() -> str | None:
    """The account to run database servers as, made if need be; None where our own will do."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        _make_account()
    return ACCOUNT


def hand_over(path: Path, user: str | None, mode: int) -> None:
    """Give a file or directory to the account."""
    path.chmod(mode)
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def let_through(path: Path) -> None:
    """Let other accounts pass (not look) through the directories above the path."""
    for directory in path.resolve().parents:
        mode = directory.stat().st_mode
        if not mode & stat.S_IXOTH:
            directory.chmod(mode | stat.S_IXOTH)


def let_run(programs: Path) -> None:
    """Let other accounts run the programs of a directory, which a strict umask at installation may have forbidden."""
    let_through(programs)
    for path in (programs, *programs.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def _make_account() -> None:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if useradd is None:
        raise StackError(
            "PostgreSQL does not run as root, and there is no useradd to make another account with",
            hint=f"Run as an ordinary user, or make an account named {ACCOUNT}.",
        )
    shell = shutil.which("nologin", path="/usr/sbin:/sbin") or "/bin/false"
    argv = [useradd, "--system", "--user-group", "--no-create-home", "--shell", shell, ACCOUNT]
    made = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    if made.returncode != 0:
        raise StackError(f"the account {ACCOUNT} could not be made: {made.stderr.strip()}")
