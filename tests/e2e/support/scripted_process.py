"""The process of a scripted worker, as a test holds it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.support.processes import Process

REPOSITORY = Path(__file__).parents[3]


class ScriptedProcess(Process):
    """A worker that plays a script. Started, it has published its DAGs when it says `published`.

    Args:
        server: the address to dial.
        token_file: the enrolment token.
        script: what it publishes and plays; `script` may be written again before `say("publish")`.
        roles, queues, labels: as it registers.
        version: the number of the first bundle version that it publishes.
        exact_version: the name of that version, where it is another worker's too; its manifest is the one that the
            server was given first.
    """

    def __init__(
        self,
        server: str,
        token_file: Path,
        *,
        folder: Path,
        script: str,
        name: str = "scripted",
        slots: int = 8,
        roles: tuple[str, ...] = (),
        queues: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
        bundle: str = "scripted",
        version: int = 1,
        exact_version: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.script_file = folder / "script.txt"
        self.write(script)
        command = [
            *(
                sys.executable,
                "-m",
                "tests.e2e.support.scripted_worker",
                "--server",
                server,
                "--token-file",
                str(token_file),
            ),
            *("--script", str(self.script_file), "--name", name, "--slots", str(slots)),
            *("--bundle", bundle, "--version", str(version), "--exact-version", exact_version),
            *(part for role in roles for part in ("--role", role)),
            *(part for queue in queues for part in ("--queue", queue)),
            *(part for key, value in (labels or {}).items() for part in ("--label", f"{key}={value}")),
        ]
        super().__init__(name, command, folder=folder, environment={"PYTHONPATH": str(REPOSITORY)})

    def write(self, script: str) -> None:
        """Write the script."""
        self.script_file.write_text(script)

    def go(self, word: str = "go") -> None:
        """Let what waits for a word go on, now and later."""
        self.say(f"go {word}")

    def publish(self, script: str) -> None:
        """Have it publish another script as the next version, and wait until it has."""
        since = self.mark()
        self.write(script)
        self.say("publish")
        self.wait_for("^published", since=since)

    def arguments_of(self, name: str) -> Any:
        """What an attempt was given: wait until it is started."""
        return json.loads(self.wait_for(rf"^started {re.escape(name)} (.*)").group(1))

    def answer_of(self, name: str, call: str, *, since: int = 0) -> Any:
        """What the server answered to a call of an attempt: wait until it has; a refusal's reason is text.

        Args:
            since: number of lines to leave out, from `mark`.
        """
        asked = f"{re.escape(name)} {re.escape(call)}"
        answer, reason = self.wait_for(rf"^(?:answered {asked} (.*)|denied {asked} (\w+))", since=since).groups()
        return reason if answer is None else json.loads(answer)
