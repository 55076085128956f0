# ruff: noqa: INP001 - a script
"""Makes `.venv` with everything a developer needs. Any Python from 3.9 on can run it; make finds one.

1. uv, in the pinned version, into `.local/bootstrap` (requirements/bootstrap.txt has its hashes).
2. A Python 3.13: on the path, among pyenv's and uv's own, else uv downloads one.
3. `.venv` with exactly what requirements/dev.txt says, and Guilder itself as an editable package.

A stamp in `.local/` remembers the inputs: without a change the script ends at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOTSTRAP = ROOT / ".local/bootstrap"
VENV = ROOT / ".venv"
STAMP = ROOT / ".local/venv.stamp"
INPUTS = ("requirements/bootstrap.txt", "requirements/dev.txt", "pyproject.toml", ".python-version")

WANTED = (ROOT / ".python-version").read_text().strip()
DOWNLOAD_SECONDS = 600

NO_PYTHON = f"""
Python {WANTED} was not found, and uv could not download it. Install it in one of these ways, then try again:

    pyenv install {WANTED}
    brew install python@{WANTED}
    apt-get install python{WANTED} python{WANTED}-venv     (Debian 13, Ubuntu 25.04 or later)
    .local/bootstrap/bin/uv python install {WANTED}
"""

NO_UV = """
uv could not be installed into .local/bootstrap with {python}. Either that Python has neither `venv` nor `pip`
(on Debian and Ubuntu: apt-get install python3-venv), or the package index cannot be reached (see above).
"""


def main() -> None:
    """Bring `.venv` up to date."""
    with locked():
        wanted = fingerprint()
        if (VENV / "bin/python").exists() and STAMP.exists() and STAMP.read_text() == wanted:
            return
        print("Python environment: .venv", flush=True)
        uv = find_uv()
        if not is_wanted(VENV / "bin/python"):
            make_environment(uv)
        fill_environment(uv)
        STAMP.write_text(wanted)


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Two at once would write into the same directory; the second waits."""
    (ROOT / ".local").mkdir(exist_ok=True)
    with (ROOT / ".local/install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint() -> str:
    """Changes with every input, and when the clone is moved (scripts in .venv name their interpreter by path)."""
    digest = hashlib.sha256(f"{ROOT} {platform.platform()}".encode())
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def find_uv() -> Path:
    """Our own uv, in the pinned version."""
    uv = BOOTSTRAP / "bin/uv"
    pin = BOOTSTRAP / "pin"
    wanted = (ROOT / "requirements/bootstrap.txt").read_text()
    if uv.exists() and pin.exists() and pin.read_text() == wanted:
        return uv
    shutil.rmtree(BOOTSTRAP, ignore_errors=True)
    if not (install_into_venv() or install_into_target()):
        raise SystemExit(NO_UV.format(python=sys.executable))
    pin.write_text(wanted)
    return uv


def install_into_venv() -> bool:
    """The usual way: a virtual environment with uv in it."""
    if not attempt(sys.executable, "-m", "venv", BOOTSTRAP):
        return False
    return attempt(BOOTSTRAP / "bin/python", "-m", "pip", *pip_arguments())


def install_into_target() -> bool:
    """For a Python that cannot make virtual environments but has pip: uv is one program, any directory will do."""
    shutil.rmtree(BOOTSTRAP, ignore_errors=True)
    return attempt(sys.executable, "-m", "pip", *pip_arguments(), "--target", BOOTSTRAP)


def pip_arguments() -> list[str]:
    """Install exactly the pinned uv, checked by its hash."""
    return ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", "requirements/bootstrap.txt"]


def make_environment(uv: Path) -> None:
    """A new, empty .venv on a Python of the wanted version."""
    python = find_python()
    if not attempt(uv, "venv", "--quiet", "--clear", "--python", python or WANTED, VENV):
        raise SystemExit(NO_PYTHON)


def fill_environment(uv: Path) -> None:
    """Make the contents exactly those of the requirements; what fits already stays."""
    python = ("--python", VENV / "bin/python")
    synced = attempt(uv, "pip", "sync", "--quiet", *python, "--require-hashes", "requirements/dev.txt")
    own = ("--no-deps", "--no-build-isolation", "--editable", ".")
    if not (synced and attempt(uv, "pip", "install", "--quiet", *python, *own)):
        raise SystemExit("The requirements could not be installed: see above. Is the package index within reach?")


def find_python() -> str | None:
    """A Python of the wanted version that really starts (a pyenv shim may not). None leaves the search to uv."""
    home = Path.home()
    places = [Path(found) for name in (f"python{WANTED}", "python3") if (found := shutil.which(name))]
    for folder, pattern in (
        (Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions", f"{WANTED}*/bin/python{WANTED}"),
        (home / ".local/share/uv/python", f"cpython-{WANTED}*/bin/python{WANTED}"),
        (Path("/opt/homebrew/bin"), f"python{WANTED}"),
        (Path("/usr/local/bin"), f"python{WANTED}"),
    ):
        places += sorted(folder.glob(pattern), reverse=True)
    return next((str(place) for place in places if is_wanted(place)), None)


def is_wanted(python: Path) -> bool:
    """Whether the program starts and is of the wanted version."""
    test = f"import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '{WANTED}'.split('.')[:2])))"
    try:
        return subprocess.run([python, "-c", test], capture_output=True, timeout=30, check=False).returncode == 0  # noqa: S603 - our own arguments
    except OSError:
        return False


def attempt(*words: str | Path) -> bool:
    """Run a command, its output on the terminal; say whether it succeeded."""
    environment = {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "UV_PYTHON"}}
    command = [str(word) for word in words]
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=DOWNLOAD_SECONDS, check=False).returncode == 0  # noqa: S603 - our own arguments


if __name__ == "__main__":
    main()
