"""The layers: compiled, for the right machine, without what is not needed, and the same bytes wherever they are built."""

import importlib.util
import marshal
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from layers.dependencies import build
from layers.dependencies.build import DEPENDENCIES, GUILDER, LAYERS, Layer, Platform, tree_hash

UNCHECKED_HASH = 0b01
AARCH64 = 183  # e_machine in the header of an ELF file
IMPORTS = (
    "fastapi, mangum, asyncpg, redis.asyncio, httpx, orjson, fastapi_offline, snapshot_restore_py, guilder.payments"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Each layer for each platform, from nothing: not from the cache."""
    folders = {}
    for layer in LAYERS.values():
        for platform in Platform:
            folder = tmp_path_factory.mktemp(f"{layer.name}-{platform}") / "layer"
            layer.build(platform, folder)
            folders[layer.name, platform.value] = folder
    return folders


@pytest.fixture(params=[(layer, platform.value) for layer in LAYERS for platform in Platform], ids="-".join)
def layer(request: pytest.FixtureRequest, built: dict[tuple[str, str], Path]) -> Path:
    return built[request.param]


@pytest.mark.parametrize(
    ("layer", "platform"), [(DEPENDENCIES, Platform.ARM64), (GUILDER, Platform.HOST)], ids=["dependencies", "guilder"]
)
def test_two_builds_in_different_folders_are_equal(
    built: dict[tuple[str, str], Path], tmp_path: Path, layer: Layer, platform: Platform
) -> None:
    elsewhere = tmp_path / "another" / "place"
    layer.build(platform, elsewhere)
    assert tree_hash(elsewhere) == tree_hash(built[layer.name, platform.value])


def test_a_changed_file_changes_the_hash(built: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    build.copy_to(built["guilder", "arm64"], copy)
    before = tree_hash(copy)
    (copy / "python/guilder/__init__.py").write_text("#")
    assert before == tree_hash(built["guilder", "arm64"]) != tree_hash(copy)


def test_every_module_has_byte_code_that_is_never_checked(layer: Path) -> None:
    modules = list(layer.rglob("*.py"))
    assert modules
    for module in modules:
        header = Path(importlib.util.cache_from_source(str(module))).read_bytes()[:16]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == UNCHECKED_HASH
        assert header[8:16] == importlib.util.source_hash(module.read_bytes())


def test_byte_code_names_the_place_in_lambda(layer: Path) -> None:
    def names(code: CodeType) -> set[str]:
        inner = (names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
        return {code.co_filename}.union(*inner)

    for module in layer.rglob("*.py"):
        compiled = marshal.loads(Path(importlib.util.cache_from_source(str(module))).read_bytes()[16:])  # noqa: S302
        assert names(compiled) == {f"/opt/{module.relative_to(layer)}"}


def test_the_build_folder_is_nowhere(layer: Path) -> None:
    for path in layer.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(layer).encode() not in content, path
            assert str(build.ROOT).encode() not in content, path


def test_times_and_modes_are_fixed(layer: Path) -> None:
    for path in [layer, *layer.rglob("*")]:
        status = path.stat()
        assert status.st_mtime == build.FIXED_TIME
        assert status.st_mode & 0o777 == (0o755 if path.is_dir() or path.suffix == ".so" else 0o644)


def test_what_is_not_needed_is_gone_and_licences_stay(built: dict[tuple[str, str], Path]) -> None:
    names = {path.name for path in built["dependencies", "arm64"].rglob("*")}
    assert not names & {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "bin", "tests", "py.typed"}
    assert not {name for name in names if name.endswith((".pyx", ".pxd", ".pyi", ".c"))}
    assert not names & {"uvloop", "boto3", "botocore", "pip"}
    information = list((built["dependencies", "arm64"] / "python").glob("*.dist-info"))
    assert information
    assert all((folder / "METADATA").exists() for folder in information)
    assert any(path.name.startswith("LICENSE") for folder in information for path in folder.rglob("*"))


def test_the_layer_for_lambda_is_for_graviton(built: dict[tuple[str, str], Path]) -> None:
    libraries = list(built["dependencies", "arm64"].rglob("*.so"))
    assert {path.parent.parts[-1] for path in libraries} >= {"orjson", "pydantic_core", "protocol"}
    for library in libraries:
        assert int.from_bytes(library.read_bytes()[18:20], "little") == AARCH64, library


def test_the_host_can_import_everything_from_the_layers_alone(
    built: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    paths = [str(built[name, "host"] / "python") for name in ("dependencies", "guilder")]
    program = f"import sys; sys.path[:0] = {paths}; import {IMPORTS}; print(guilder.__cached__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(built["guilder", "host"]))


def test_the_layers_fit_into_lambda(built: dict[tuple[str, str], Path]) -> None:
    size = sum(p.stat().st_size for name in LAYERS for p in built[name, "arm64"].rglob("*") if p.is_file())
    assert size < 250_000_000 / 2  # Lambda's limit for a function and its layers, with room for the rest


def test_an_unchanged_layer_is_not_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "CACHE", tmp_path)
    first = GUILDER.cached(Platform.HOST)
    inode = first.stat().st_ino
    (tmp_path / "guilder-host-of-yesterday").mkdir()
    assert GUILDER.cached(Platform.HOST).stat().st_ino == inode
    assert tree_hash(first) == tree_hash(GUILDER.cached(Platform.HOST))


def test_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "guilder"
    script = build.ROOT / "layers/dependencies/build.py"
    done = subprocess.run(
        [sys.executable, script, "--layer", "guilder", "--platform", "host", "--out", out],
        cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert tree_hash(out) in done.stdout
    assert (out / "python/guilder/__init__.py").exists()
