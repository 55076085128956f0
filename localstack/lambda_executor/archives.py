"""Code and layers on disk: each archive is unpacked once, under its hash, however many functions share it."""

import calendar
import hashlib
import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

Download = Callable[[IO[bytes]], object]
"""Writes an archive into the open file that it is given."""


class Archives:
    """The unpacked archives of one LocalStack process. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def unpack(self, sha256: str, download: Download) -> Path:
        """The directory with the archive's content, unpacked by the first who asks."""
        target = self._directory / "archives" / sha256
        with self._lock:
            if not target.exists():
                _make(target, lambda draft: _unzip(download, draft))
        return target

    def opt(self, layers: Sequence[Path]) -> Path:
        """What `/opt` is in Lambda: the function's layers unpacked over one another, in the order of its list.

        A file that two layers bring is the later one's, and a package may come from several layers, both as in Lambda.
        Files are hard links to the unpacked layers, where the file system has them.
        """
        names = "\n".join(layer.name for layer in layers)
        target = self._directory / "opt" / hashlib.sha256(names.encode()).hexdigest()
        with self._lock:
            if not target.exists():
                _make(target, lambda draft: _merge(layers, draft))
        return target


def _make(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a directory under another name first, so that a half-filled one is never taken for whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=".draft-"))
    try:
        fill(draft)
        draft.chmod(0o755)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _unzip(download: Download, target: Path) -> None:
    """Unpack with permissions and times; byte code that is checked against its source's time is void otherwise."""
    with tempfile.TemporaryFile() as file:
        download(file)
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                path = Path(archive.extract(entry, target))
                path.chmod(_mode(entry))
                moment = calendar.timegm((*entry.date_time, 0, 0, 0))
                os.utime(path, (moment, moment))


def _mode(entry: zipfile.ZipInfo) -> int:
    """The entry's permissions, or what Lambda asks archives to have; always enough for us to read and delete it."""
    default, least = (0o755, 0o700) if entry.is_dir() else (0o644, 0o600)
    return ((entry.external_attr >> 16) & 0o777 or default) | least


def _merge(layers: Sequence[Path], target: Path) -> None:
    for layer in layers:
        shutil.copytree(layer, target, copy_function=_place, dirs_exist_ok=True)


def _place(source: str, target: str) -> str:
    """Put one file of a layer into /opt, over an earlier layer's."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
