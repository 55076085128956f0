"""Servers that do not behave, and one that stands before a processor and keeps its answers back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

type Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_LONG_S = 60.0


@asynccontextmanager
async def misbehaving(behaviour: Behaviour) -> AsyncIterator[str]:
    """A server on a free port; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await behaviour(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        server.close_clients()


def answering(raw: bytes) -> Behaviour:
    """Send these bytes, whatever is asked, and hang up."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()

    return behave


def with_body(status: str, body: bytes, content_type: str = "application/json") -> Behaviour:
    """Send this status and this body."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return answering(head.encode() + body)


async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listen, and say nothing."""
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(_LONG_S)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say something all the time, and never come to an end: no single wait is long."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(int(_LONG_S / 0.1)):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the request and hang up."""
    await reader.readuntil(b"\r\n\r\n")


def keeping_answers_of(url: str) -> Behaviour:
    """Pass requests on to the processor, and keep what it answers."""
    target = urlsplit(url)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, upstream = await asyncio.open_connection(target.hostname, target.port)
        try:
            while data := await reader.read(65536):
                upstream.write(data)
                await upstream.drain()
        finally:
            upstream.close()

    return behave


async def closed_port() -> str:
    """An address where nobody listens."""
    async with misbehaving(hanging_up) as url:
        return url
