"""Hashes of source trees: the answer to "has anything changed since?"."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

SKIPPED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules", "cdk.out"})


def content_hash(places: Iterable[Path], *texts: str) -> str:
    """One hash over files and folders (names and contents) and some texts."""
    digest = hashlib.sha256("\0".join(texts).encode())
    for place in places:
        for file in [place] if place.is_file() else _files(place):
            content = file.read_bytes()
            digest.update(f"\n{file.relative_to(place.parent)} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".pyc" and SKIPPED.isdisjoint(file.relative_to(folder).parts)
    )


class Stamp:
    """Remembers in a file what something was made from."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def is_current(self, fingerprint: str) -> bool:
        """Whether the thing was made from exactly this."""
        return self._file.exists() and self._file.read_text() == fingerprint

    def set(self, fingerprint: str) -> None:
        """Say what it was made from, now that it is whole."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(fingerprint)

    def clear(self) -> None:
        """Say that it is not whole."""
        self._file.unlink(missing_ok=True)
