"""What is generated from the protos of a version: Python's stubs, Go's, and the programs around them, each once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from codegen.go_toolchain import go_environment
from tests.compat.lab.history import (
    REPOSITORY,
    VERSIONS,
    inputs_of,
    load_snapshot,
    made_once,
    proto_files,
    run_protoc,
)

GO_CLIENT: Final = Path(__file__).parent / "go_client"
SDK: Final = REPOSITORY / "sdk_go"
_OPTIONS: Final = "crosswind/options/v1/options.proto"
_MODULE: Final = "crosswind.dev/lab"


@cache
def python_stubs(version: str) -> Path:
    """A folder for Python's path that holds the package `lab.v1` of a version."""
    return made_once(f"python-{version}", [*inputs_of(version), Path(__file__)], partial(_generate_python, version))


@cache
def go_clients() -> Path:
    """A folder with one program a version, named by it: the client around the stubs of that version."""
    sources = [GO_CLIENT / "go.mod", GO_CLIENT / "go.sum", *sorted((GO_CLIENT / "driver").glob("*.go"))]
    inputs = [path for version in VERSIONS for path in inputs_of(version)]
    return made_once("go", [*inputs, *sources, SDK / "go.mod", Path(__file__)], _build_go) / "bin"


def _generate_python(version: str, folder: Path) -> None:
    run_protoc(version, f"--python_out={folder}", f"--grpc_python_out={folder}", *proto_files(version))


def _build_go(folder: Path) -> None:
    environment = go_environment()

    def go(*arguments: str, where: Path = folder) -> str:
        command = ["go", *arguments]
        done = subprocess.run(
            command, cwd=where, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    plugins = [f"--plugin={name}={go('tool', '-n', name, where=SDK)}" for name in _PLUGINS]
    shutil.copytree(GO_CLIENT, folder, dirs_exist_ok=True)
    for version in VERSIONS:
        _generate_go(version, folder, plugins)
    (folder / "bin").mkdir(exist_ok=True)
    go("build", "-ldflags=-s -w", "-o", str(folder / "bin"), *(f"./cmd/{version}" for version in VERSIONS))


_PLUGINS: Final = ("protoc-gen-go", "protoc-gen-go-grpc")


def _generate_go(version: str, folder: Path, plugins: Sequence[str]) -> None:
    """The stubs of a version, with options of its own: no process has those of two versions."""
    place = f"gen/v{version.replace('-', '')}"
    files = proto_files(version)
    packages = dict.fromkeys(files, f"{_MODULE}/{place}/labv1") | {_OPTIONS: f"{_MODULE}/{place}/optionsv1"}
    mapping = [f"M{name}={package}" for name, package in packages.items()]
    options = [f"--{kind}_opt={option}" for kind in ("go", "go-grpc") for option in (f"module={_MODULE}", *mapping)]
    run_protoc(version, *plugins, f"--go_out={folder}", f"--go-grpc_out={folder}", *options, *files, _OPTIONS)
    services = [
        (file, service.name) for file in load_snapshot(version).file if file.name in files for service in file.service
    ]
    program = folder / "cmd" / version / "main.go"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(_main(f"{_MODULE}/{place}/labv1", services))


def _main(package: str, services: Sequence[tuple[FileDescriptorProto, str]]) -> str:
    clients = "\n".join(
        f'\t\t"{file.package}.{name}": func(c grpc.ClientConnInterface) any {{ return labv1.New{name}Client(c) }},'
        for file, name in services
    )
    return f"""// Code generated for a test. DO NOT EDIT.

package main

import (
	"google.golang.org/grpc"

	"{_MODULE}/driver"
	labv1 "{package}"
)

func main() {{
	driver.Main(driver.Clients{{
{clients}
	}})
}}
"""
