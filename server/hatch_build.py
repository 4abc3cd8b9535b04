"""Puts snapshots of frozen API versions into the distribution, as `crosswind_server/versions/released/<date>.binpb`.

Their one home is `proto/released/` of the repository. A source distribution has them where a wheel of it finds them.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Snapshots(BuildHookInterface):  # type: ignore[type-arg]
    """The hook; hatchling finds it by its base."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files, in whichever kind of distribution is built. An editable one reads them where they are."""
        if version == "editable":
            return
        package = "src/crosswind_server" if self.target_name == "sdist" else "crosswind_server"
        for snapshot in sorted(Path(self.root).parent.glob("proto/released/*/snapshot.binpb")):
            build_data["force_include"][str(snapshot)] = f"{package}/versions/released/{snapshot.parent.name}.binpb"
