#!/usr/bin/env python3.13
"""Build the two Lambda layers without Docker, compiled and reproducible.

    python layers/dependencies/build.py --platform host --out .local/build/dependencies
    python layers/dependencies/build.py --platform arm64 --layer guilder --out .local/build/guilder

A built layer is a folder with `python/` in it, which Lambda unpacks to `/opt`. Two things make it more than a copy:

* Every module comes with its byte code. Importing the functions' dependencies takes two to three times as long
  without, and Lambda bills it. The byte code is "unchecked hash": Python neither looks at the source's time stamp,
  which zip files and LocalStack do not keep, nor reads the source.
* The same inputs give the same bytes, on any machine and in any folder: no build path, no time stamp and no order of
  a set ends up in the result, so that an unchanged layer is not deployed again.

A build is kept under `.local/layers/`, by the hash of its inputs, and copied from there.
"""

import argparse
import hashlib
import importlib.util
import os
import platform as host
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "layers/dependencies/requirements.txt"
PACKAGE = ROOT / "layers/guilder/python"
CACHE = ROOT / ".local/layers"

PYTHON = (3, 13)
MOUNT_POINT = "/opt"  # where Lambda unpacks layers; byte code names its sources below it

INSTALL_SECONDS = 300
COMPILE_SECONDS = 300
FIXED_TIME = 315_532_800  # 1980-01-01, the earliest time a zip file can hold

# Of no use at run time. Licences and METADATA stay: the licences ask for it, and `importlib.metadata` reads the latter.
SCRAP_FOLDERS = frozenset({"__pycache__", "tests", "_testbase"})
SCRAP_SUFFIXES = frozenset({".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".pyc"})
SCRAP_FILES = frozenset({"py.typed", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json", ".lock"})


class Platform(StrEnum):
    """What a layer is built for: this machine (the local stack) or Lambda on Graviton."""

    HOST = "host"
    ARM64 = "arm64"

    @property
    def uv_arguments(self) -> list[str]:
        """How uv is told. The oldest manylinux suits Lambda's Amazon Linux 2023; the host needs no telling."""
        return ["--python-platform", "aarch64-manylinux2014"] if self is Platform.ARM64 else []

    @property
    def tag(self) -> str:
        """Tells builds apart that would differ."""
        return "arm64" if self is Platform.ARM64 else f"{sys.platform}-{host.machine()}"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: the files its build reads, and the step that puts the sources into place."""

    name: str
    inputs: Callable[[], Iterator[Path]]
    install: Callable[[Path, Platform], None]

    def key(self, platform: Platform) -> str:
        """The hash of everything that the result depends on."""
        digest = hashlib.sha256(importlib.util.MAGIC_NUMBER)
        digest.update(f"{self.name} {platform.tag} {sys.version}".encode())
        for path in (Path(__file__), *self.inputs()):
            content = path.read_bytes()
            digest.update(f"\n{path.relative_to(ROOT)} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    def build(self, platform: Platform, out: Path) -> None:
        """Build into the empty or missing folder `out`."""
        if sys.version_info[:2] != PYTHON:
            raise SystemExit(f"layers are compiled for Python {PYTHON[0]}.{PYTHON[1]}, this is {sys.version}")
        sources = out / "python"
        sources.mkdir(parents=True)
        self.install(sources, platform)
        remove_scrap(sources)
        compile_all(out)
        normalise(out)

    def cached(self, platform: Platform) -> Path:
        """The built layer's folder under `.local/layers`; built now unless that has been done for these inputs."""
        family = f"{self.name}-{platform}-"
        built = CACHE / f"{family}{self.key(platform)[:16]}"
        if not built.is_dir():
            CACHE.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=f".{family}") as scratch:
                self.build(platform, Path(scratch) / "layer")
                publish(Path(scratch) / "layer", built)
            remove_others(family, built)
        return built


def inputs_of_dependencies() -> Iterator[Path]:
    """The hashed requirements decide alone."""
    yield REQUIREMENTS


def inputs_of_guilder() -> Iterator[Path]:
    """Every file of the package, in a fixed order."""
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
            yield path


def install_dependencies(target: Path, platform: Platform) -> None:
    """Unpack the wheels: none is built, each must have the hash that the requirements name."""
    command = [str(uv()), "pip", "install", "--quiet"]
    command += ["--python", sys.executable, "--target", str(target)]
    command += ["--require-hashes", "--requirements", str(REQUIREMENTS), "--only-binary", ":all:", "--no-deps"]
    command += ["--python-version", f"{PYTHON[0]}.{PYTHON[1]}", *platform.uv_arguments]
    # Copies: a hard link would let us change the files in uv's cache.
    command += ["--link-mode", "copy", "--no-compile-bytecode"]
    subprocess.run(command, check=True, timeout=INSTALL_SECONDS)  # noqa: S603 -- our own arguments
    shutil.rmtree(target / "bin", ignore_errors=True)


def install_guilder(target: Path, _platform: Platform) -> None:
    """Copy the package as it stands; it is pure Python."""
    for source in inputs_of_guilder():
        destination = target / source.relative_to(PACKAGE)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)


def remove_scrap(sources: Path) -> None:
    """Remove what is not needed at run time."""
    for path in sorted(sources.rglob("*"), reverse=True):
        if path.is_dir() and path.name in SCRAP_FOLDERS:
            shutil.rmtree(path)
        elif path.is_file() and (path.suffix in SCRAP_SUFFIXES or path.name in SCRAP_FILES):
            path.unlink()


def compile_all(out: Path) -> None:
    """Compile every module, in one fresh process and in a fixed order.

    What marshal writes depends on which strings the compiler has interned before: parallel workers, or a process that
    has imported something else, would give other bytes for the same source.
    """
    command = [sys.executable, "-S", "-m", "compileall", "-q", "-f", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(out), "-p", MOUNT_POINT, str(out / "python")]
    environment = {"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", os.defpath)}
    subprocess.run(command, check=True, timeout=COMPILE_SECONDS, env=environment)  # noqa: S603 -- our own arguments


def normalise(out: Path) -> None:
    """Give every file the same time and mode, wherever it was built."""
    for path in [*sorted(out.rglob("*")), out]:
        executable = path.is_dir() or path.suffix == ".so"
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (FIXED_TIME, FIXED_TIME))


def publish(built: Path, destination: Path) -> None:
    """Move a finished build into place, unless another process was quicker with the same one."""
    try:
        built.rename(destination)
    except OSError:
        if not destination.is_dir():
            raise


def remove_others(family: str, keep: Path) -> None:
    """Remove earlier builds of the same layer."""
    for path in CACHE.glob(f"{family}*"):
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)


def uv() -> Path:
    """The uv to use: the one named by $UV, the project's own, or one on the path."""
    own = ROOT / ".local/bootstrap/bin/uv"
    found = os.environ.get("UV") or (str(own) if own.exists() else shutil.which("uv"))
    if not found:
        raise SystemExit("uv is missing: `make up` installs it, or set $UV")
    return Path(found)


def tree_hash(folder: Path) -> str:
    """One hash over all names, modes and contents: equal for equal layers."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.relative_to(folder)} {path.stat().st_mode:o} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def copy_to(built: Path, out: Path) -> None:
    """Copy a built layer into `out`, which is emptied first."""
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(built, out)


DEPENDENCIES = Layer("dependencies", inputs_of_dependencies, install_dependencies)
GUILDER = Layer("guilder", inputs_of_guilder, install_guilder)
LAYERS = {layer.name: layer for layer in (DEPENDENCIES, GUILDER)}


def main() -> None:
    """Build one layer and say where it is, how large, and its hash."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", choices=sorted(LAYERS), default=DEPENDENCIES.name)
    parser.add_argument("--platform", choices=[str(p) for p in Platform], default=str(Platform.HOST))
    parser.add_argument("--out", type=Path, required=True, help="folder to fill; what is in it is lost")
    arguments = parser.parse_args()
    copy_to(LAYERS[arguments.layer].cached(Platform(arguments.platform)), arguments.out)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}  {size / 1e6:.1f} MB  sha256:{tree_hash(arguments.out)}")


if __name__ == "__main__":
    main()
