"""The ports of the local stack: chosen once, kept, and chosen anew only when somebody else holds one."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

LOOPBACK = "127.0.0.1"

# Below the range from which Linux (32768) and macOS (49152) take ports for outgoing connections: a port there could be
# lost to a client socket between two starts.
FIRST, LAST = 20000, 29999


def is_listening(port: int, timeout: float = 0.5) -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout):
            return True
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Whether a server could bind the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


class Ports:
    """The kept choice, one port a service name. Safe to use from several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def of(self, service: str, *, is_ours: Callable[[int], bool]) -> int:
        """The service's port.

        The kept one, unless a stranger listens there.

        Args:
            service: the name it is kept under.
            is_ours: says whether the process that holds the port is the service itself.
        """
        with self._lock:
            kept = self._read()
            port = kept.get(service)
            if port is not None and (is_free(port) or is_ours(port)):
                return port
            kept[service] = self._choose(service, taken=set(kept.values()))
            self._write(kept)
            return kept[service]

    def _choose(self, service: str, taken: set[int]) -> int:
        """A free port; where to look first depends on the place, so that two clones seldom want the same."""
        span = LAST - FIRST + 1
        start = sum((index + 1) * byte for index, byte in enumerate(f"{self._file}:{service}".encode())) * 7919
        for step in range(span):
            port = FIRST + (start + step) % span
            if port not in taken and is_free(port):
                return port
        message = f"no free port between {FIRST} and {LAST}"
        raise OSError(message)

    def _read(self) -> dict[str, int]:
        try:
            kept = json.loads(self._file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return {str(name): int(port) for name, port in kept.items()}

    def _write(self, kept: dict[str, int]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(kept, indent=2) + "\n")
        draft.replace(self._file)
