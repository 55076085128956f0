"""Ports are chosen once; only a stranger on one makes us move."""

import json
import socket
from pathlib import Path

from devstack.ports import FIRST, LAST, LOOPBACK, Ports, is_free


def nobody(_port: int) -> bool:
    return False


def test_a_port_stays_the_same(tmp_path: Path) -> None:
    port = Ports(tmp_path / "ports.json").of("postgres", is_ours=nobody)
    assert FIRST <= port <= LAST
    assert Ports(tmp_path / "ports.json").of("postgres", is_ours=nobody) == port


def test_services_do_not_share_a_port(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    chosen = [ports.of(f"service-{number}", is_ours=nobody) for number in range(20)]
    assert len(set(chosen)) == 20


def test_a_port_that_a_stranger_took_is_given_up(tmp_path: Path) -> None:
    port = Ports(tmp_path / "ports.json").of("postgres", is_ours=nobody)
    with socket.create_server((LOOPBACK, port)):
        moved = Ports(tmp_path / "ports.json").of("postgres", is_ours=nobody)
        assert moved != port
        assert is_free(moved)
    assert json.loads((tmp_path / "ports.json").read_text()) == {"postgres": moved}


def test_a_port_that_our_own_server_holds_is_kept(tmp_path: Path) -> None:
    port = Ports(tmp_path / "ports.json").of("postgres", is_ours=nobody)
    with socket.create_server((LOOPBACK, port)):
        assert Ports(tmp_path / "ports.json").of("postgres", is_ours=lambda asked: asked == port) == port


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"postgres": ')
    port = Ports(tmp_path / "ports.json").of("postgres", is_ours=nobody)
    assert json.loads((tmp_path / "ports.json").read_text()) == {"postgres": port}
