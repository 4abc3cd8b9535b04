"""Go bundles for tests: built and packed once for a whole run, with the commands that users have."""

import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
SDK = REPOSITORY / "sdk_go"
KIT = REPOSITORY / "tests" / "e2e" / "go_kit"
FLIGHTS = REPOSITORY / "examples" / "flights" / "go"
_BUILD_SECONDS = 600.0


class GoBundles:
    """Packs bundles into a folder, each once.

    Args:
        folder: for commands and bundles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kit(self, version: int = 1) -> Path:
        """The bundle of `tests/e2e/go_kit`."""
        return self.pack(KIT, f"kit-{version}", "--", "-ldflags", f"-s -w -X main.version={version}")

    def flights(self) -> Path:
        """The bundle of the example."""
        return self.pack(FLIGHTS, "flights_go.bundle")

    def pack(self, source: Path, name: str, *flags: str) -> Path:
        """The packed bundle of a folder with a main package.

        Args:
            source: the folder.
            name: of the file.
            flags: further ones of crosswind-go-pack.
        """
        bundle = self._folder / name
        if not bundle.exists():
            _run([self.command("crosswind-go-pack"), ".", "-o", bundle, *flags], source)
        return bundle

    def command(self, name: str) -> Path:
        """One of the Go SDK's commands."""
        program = self._folder / name
        if not program.exists():
            _run(["go", "build", "-o", program, f"./cmd/{name}"], SDK)
        return program


def install(bundle: Path, place: Path) -> Path:
    """Put a bundle, at once, where a worker watches."""
    half = place.with_name(f".{place.name}.half")
    shutil.copy2(bundle, half)
    return half.replace(place)


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
