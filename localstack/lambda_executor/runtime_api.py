"""The Lambda Runtime API for one environment: HTTP/1.1 on a loopback port of its own.

There is no server thread. Whoever waits for the function (its init, or one invocation) reads the sockets meanwhile, so
that an event and its answer cross no other thread on their way.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import re
import selectors
import socket
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import h11

from lambda_executor.failures import MAX_RESPONSE_BYTES

MAX_HEAD_BYTES = 2 * 1024 * 1024  # the runtime may send an X-Ray document of up to 1 MB as a header
RECEIVE_BYTES = 256 * 1024


class Kind(Enum):
    """What the runtime can say."""

    NEXT = auto()
    RESPONSE = auto()
    ERROR = auto()
    INIT_ERROR = auto()
    UNKNOWN = auto()


_ROUTES = (
    (Kind.NEXT, re.compile(rb"GET /2018-06-01/runtime/invocation/next")),
    (Kind.RESPONSE, re.compile(rb"POST /2018-06-01/runtime/invocation/([^/]+)/response")),
    (Kind.ERROR, re.compile(rb"POST /2018-06-01/runtime/invocation/([^/]+)/error")),
    (Kind.INIT_ERROR, re.compile(rb"POST /2018-06-01/runtime/init/error")),
)


class Connection:
    """One connection of the runtime, which it keeps open from call to call."""

    def __init__(self, sock: socket.socket) -> None:
        # A small answer must not wait for the acknowledgement of the one before (Nagle's algorithm: 40 ms).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._line = b""
        self._body: list[bytes] = []
        self._size = 0

    def receive(self) -> "Message | None":
        """Read what has arrived; give the request if it is complete.

        Raises:
            ConnectionError: there is nothing more to come.
        """
        try:
            self._http.receive_data(self.socket.recv(RECEIVE_BYTES))
            return self._parse()
        except (OSError, h11.RemoteProtocolError) as error:
            raise ConnectionResetError from error

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes, seconds: float) -> None:
        """Answer the request in one piece, head and body together.

        Raises:
            ConnectionError: the runtime did not take it, or not within the given time.
        """
        headers = [*headers, ("Content-Length", str(len(body)))]
        events = (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
        try:
            self._send(b"".join(self._http.send(event) or b"" for event in events), seconds)
            self._http.start_next_cycle()
        except (OSError, h11.LocalProtocolError) as error:
            raise ConnectionResetError from error

    def is_open(self) -> bool:
        """Whether the runtime still waits for the answer to its request. It sends nothing meanwhile."""
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _parse(self) -> "Message | None":
        while True:
            match self._http.next_event():
                case h11.Request(method=method, target=target):
                    self._line, self._body, self._size = method + b" " + target, [], 0
                    if self._http.they_are_waiting_for_100_continue:
                        self._send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"", 1.0)
                case h11.Data(data=data):
                    self._keep(bytes(data))
                case h11.EndOfMessage():
                    return self._message()
                case h11.NEED_DATA | h11.PAUSED:
                    return None
                case _:  # the connection was closed
                    raise ConnectionResetError

    def _keep(self, data: bytes) -> None:
        """Keep no more of a body than shows that it is too large."""
        self._size += len(data)
        if self._size <= MAX_RESPONSE_BYTES:
            self._body.append(data)

    def _message(self) -> "Message":
        for kind, pattern in _ROUTES:
            if found := pattern.fullmatch(self._line):
                request_id = found.group(1).decode() if pattern.groups else ""
                return Message(kind, self, b"".join(self._body), request_id, too_large=self._size > MAX_RESPONSE_BYTES)
        return Message(Kind.UNKNOWN, self)

    def _send(self, data: bytes, seconds: float) -> None:
        self.socket.settimeout(max(seconds, 0.001))
        self.socket.sendall(data)


@dataclass(frozen=True, slots=True)
class Message:
    """One request of the runtime, not answered yet."""

    kind: Kind
    connection: Connection
    body: bytes = b""
    request_id: str = ""
    too_large: bool = False

    def accept(self) -> None:
        """Tell the runtime that its answer has arrived."""
        if self.too_large:
            self.connection.respond(413, [], b'{"errorType":"RequestEntityTooLarge"}', seconds=1.0)
        elif self.kind is Kind.UNKNOWN:
            self.connection.respond(404, [], b"", seconds=1.0)
        else:
            self.connection.respond(202, [("Content-Type", "application/json")], b'{"status":"OK"}', seconds=1.0)


class Readable(Protocol):
    """Something else to keep reading while waiting for the runtime."""

    def fileno(self) -> int:
        """The descriptor to watch."""

    def read(self) -> bool:
        """Take what is there; false at its end."""


class RuntimeApi:
    """The listening socket and the connections made to it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector.register(self._listener, selectors.EVENT_READ)

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API has it."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def is_connected(self) -> bool:
        """Whether the runtime has a connection open, or one was not read to its end yet."""
        return any(isinstance(key.data, Connection) for key in self._selector.get_map().values())

    def watch(self, readable: Readable) -> None:
        """Read this too from now on, until its end."""
        self._selector.register(readable, selectors.EVENT_READ)

    def poll(self, seconds: float) -> list[Message]:
        """Wait until something can be read or the time is over; give the complete requests."""
        messages = []
        for key, _ in self._selector.select(max(seconds, 0.0)):
            source = key.fileobj
            if source is self._listener:
                self._accept()
            elif isinstance(connection := key.data, Connection):
                try:
                    if message := connection.receive():
                        messages.append(message)
                except ConnectionError:
                    self._drop(connection)
            elif not source.read():  # type: ignore[union-attr]  # a Readable; the selector's stubs do not carry it
                self._selector.unregister(source)
        return messages

    def reset(self) -> None:
        """Forget the process: its connections, and whatever else was watched. The address stays."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Connection):
                self._drop(key.data)
            elif key.fileobj is not self._listener:
                self._selector.unregister(key.fileobj)

    def close(self) -> None:
        """Give everything back."""
        self.reset()
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it may have gone again
            sock, _ = self._listener.accept()
            self._selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
