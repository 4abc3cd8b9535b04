"""Generates the Python stubs from proto/, or checks that the committed ones are what would be generated.

Only the folders of stubs (`crosswind/<package>/<version>/`) are written or compared. `buf.gen.yaml` names the plugins.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
SOURCE = ROOT / "sdk_python" / "src"
TEMPLATE = "codegen/buf.gen.yaml"
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def stub_folders(tree: Path) -> set[Path]:
    """Return the folders of generated modules in `tree`, as paths relative to it."""
    return {
        path.parent.relative_to(tree)
        for path in tree.glob("crosswind/*/v*/*")
        if path.name.endswith(GENERATED_SUFFIXES)
    }


def stub_files(tree: Path) -> dict[Path, bytes]:
    """Return everything that lies in the stub folders of `tree`, except caches, by path relative to it.

    Hand-written files would count as stale: nothing else may live there.
    """
    files: dict[Path, bytes] = {}
    for folder in stub_folders(tree):
        for path in [*(tree / folder).rglob("*"), *(tree / folder.parent).glob("*")]:
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(tree)] = path.read_bytes()
    return files


def generate(output: Path) -> None:
    """Write all stubs and the `__init__.py` of their packages below `output`.

    Raises:
        subprocess.CalledProcessError: buf refused the protos; it has said why on stderr.
    """
    buf = Path(sys.executable).with_name("buf")
    subprocess.run([buf, "generate", "--template", TEMPLATE, "--output", output], cwd=ROOT, check=True)
    # mypy-protobuf also writes an empty stub for a proto without a service, which has no module.
    for stub in output.rglob("*_pb2_grpc.pyi"):
        if not stub.with_suffix(".py").exists():
            stub.unlink()
    for folder in stub_folders(output):
        for package in (folder, folder.parent):
            docstring = f'"""Generated from proto/{package.as_posix()}/. Never edited: run `make gen`."""\n'
            (output / package / "__init__.py").write_text(docstring)


def differences(expected: dict[Path, bytes], actual: dict[Path, bytes]) -> list[str]:
    """Return one line for each file that is missing, stale or different."""
    lines = []
    for path in sorted(expected.keys() | actual.keys()):
        if path not in actual:
            lines.append(f"missing: {path}")
        elif path not in expected:
            lines.append(f"stale: {path}")
        elif expected[path] != actual[path]:
            lines.append(f"different: {path}")
    return lines


def replace(expected: dict[Path, bytes], target: Path) -> int:
    """Make the stubs below `target` exactly `expected`; return how many files changed."""
    actual = stub_files(target)
    changed = 0
    for path in actual.keys() - expected.keys():
        (target / path).unlink()
        changed += 1
    for path, content in expected.items():
        # An unchanged file keeps its time, so nothing is compiled or checked again for no reason.
        if actual.get(path) != content:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(content)
            changed += 1
    return changed


def main() -> int:
    """Return the exit code: 0, or 1 if `--check` found a difference or the protos do not compile."""
    parser = argparse.ArgumentParser(description="Generate the Python stubs from proto/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a committed stub differs")
    check: bool = parser.parse_args().check
    if not any(PROTO.glob("crosswind/*/v*/*.proto")):
        print("There are no protos in proto/crosswind/ to generate from.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        try:
            generate(Path(folder))
        except subprocess.CalledProcessError as error:
            return error.returncode or 1
        expected = stub_files(Path(folder))
    if check:
        found = differences(expected, stub_files(SOURCE))
        if found:
            print("The stubs are not what proto/ generates. Run `make gen` and commit the result.", file=sys.stderr)
            print("\n".join(found), file=sys.stderr)
            return 1
        print(f"{len(expected)} generated files are up to date")
        return 0
    print(f"{len(expected)} generated files, {replace(expected, SOURCE)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
