"""Generates the stubs of every language from proto/, or checks that the committed ones are what would be generated.

Only the stubs are written or compared. `buf.gen.yaml` and `buf.gen.go.yaml` name the plugins.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from codegen.go_toolchain import GoMissing, go_environment

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


class Language(Protocol):
    """One language's stubs."""

    name: str
    source: Path
    """Where they are committed."""

    def generate(self, output: Path) -> None:
        """Write all of them below `output`.

        Raises:
            subprocess.CalledProcessError: buf refused the protos; it has said why on stderr.
        """

    def files(self, tree: Path) -> dict[Path, bytes]:
        """The stubs in `tree`, by path relative to it, and what else lies among them."""


class PythonStubs:
    """Python's, under the proto's own package path. Hand-written files lie beside them."""

    name = "Python"
    source = ROOT / "sdk_python" / "src"

    def generate(self, output: Path) -> None:
        """Write the stubs and the `__init__.py` of their packages."""
        run_buf("codegen/buf.gen.yaml", output)
        # mypy-protobuf also writes an empty stub for a proto without a service, which has no module.
        for stub in output.rglob("*_pb2_grpc.pyi"):
            if not stub.with_suffix(".py").exists():
                stub.unlink()
        for folder in stub_folders(output):
            for package in (folder, folder.parent):
                docstring = f'"""Generated from proto/{package.as_posix()}/. Never edited: run `make gen`."""\n'
                (output / package / "__init__.py").write_text(docstring)

    def files(self, tree: Path) -> dict[Path, bytes]:
        """Everything that lies in the stub folders of `tree`, except caches.

        Hand-written files would count as stale: nothing else may live there.
        """
        files: dict[Path, bytes] = {}
        for folder in stub_folders(tree):
            for path in [*(tree / folder).rglob("*"), *(tree / folder.parent).glob("*")]:
                if path.is_file() and "__pycache__" not in path.parts:
                    files[path.relative_to(tree)] = path.read_bytes()
        return files


class GoStubs:
    """Go's, in a folder of their own, internal to the Go module."""

    name = "Go"
    source = ROOT / "sdk_go" / "internal" / "gen"

    def generate(self, output: Path) -> None:
        """Write the stubs by the plugins that sdk_go/go.mod pins.

        Raises:
            GoMissing: there is no Go to run the plugins with, and none could be brought.
        """
        run_buf("codegen/buf.gen.go.yaml", output, environment=go_environment())
        for path in output.rglob("*.go"):
            path.write_text(normal_lists(path.read_text()))

    def files(self, tree: Path) -> dict[Path, bytes]:
        """All files of `tree`."""
        return {path.relative_to(tree): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def normal_lists(source: str) -> str:
    """Go source with every list in its comments as gofmt writes lists.

    Which of them the plugins write so, differs with the version of the Go that compiled them.
    """
    lines = []
    in_item = False
    for line in source.split("\n"):
        item = re.fullmatch(r"(\t*//) \* (.*)", line)
        more = re.fullmatch(r"(\t*//)   (\S.*)", line) if in_item else None
        if item:
            line = f"{item[1]}   - {item[2]}"
        elif more:
            line = f"{more[1]}     {more[2]}"
        in_item = bool(item or more)
        lines.append(line)
    return "\n".join(lines)


LANGUAGES: Final[tuple[Language, ...]] = (PythonStubs(), GoStubs())


def run_buf(template: str, output: Path, *, environment: Mapping[str, str] | None = None) -> None:
    """Generate by a template.

    Raises:
        subprocess.CalledProcessError: buf refused the protos; it has said why on stderr.
    """
    buf = Path(sys.executable).with_name("buf")
    command: list[str | Path] = [buf, "generate", "--template", template, "--output", output]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def stub_folders(tree: Path) -> set[Path]:
    """Return the folders of generated Python modules in `tree`, as paths relative to it."""
    return {
        path.parent.relative_to(tree)
        for path in tree.glob("crosswind/*/v*/*")
        if path.name.endswith(GENERATED_SUFFIXES)
    }


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


def replace(expected: dict[Path, bytes], actual: dict[Path, bytes], target: Path) -> int:
    """Make the stubs below `target`, which are `actual`, exactly `expected`; return how many files changed."""
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


def process(language: Language, *, check: bool) -> bool:
    """Generate one language's stubs, or compare them; return whether all is well.

    Raises:
        subprocess.CalledProcessError: see `Language.generate`.
        GoMissing: likewise.
    """
    with tempfile.TemporaryDirectory() as folder:
        language.generate(Path(folder))
        expected = language.files(Path(folder))
    actual = language.files(language.source)
    if not check:
        print(f"{language.name}: {len(expected)} generated files, {replace(expected, actual, language.source)} changed")
        return True
    found = differences(expected, actual)
    if found:
        print(
            f"The {language.name} stubs are not what proto/ generates. Run `make gen` and commit the result.",
            file=sys.stderr,
        )
        print("\n".join(found), file=sys.stderr)
        return False
    print(f"{language.name}: {len(expected)} generated files are up to date")
    return True


def main() -> int:
    """Return the exit code: 0, or 1 if `--check` found a difference or the protos do not compile."""
    parser = argparse.ArgumentParser(description="Generate the stubs of every language from proto/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a committed stub differs")
    check: bool = parser.parse_args().check
    if not any(PROTO.glob("crosswind/*/v*/*.proto")):
        print("There are no protos in proto/crosswind/ to generate from.", file=sys.stderr)
        return 1
    try:
        results = [process(language, check=check) for language in LANGUAGES]
    except subprocess.CalledProcessError as error:
        return error.returncode or 1
    except GoMissing as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
