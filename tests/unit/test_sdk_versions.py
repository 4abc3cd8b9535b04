"""What the SDKs name as the API versions that they speak, against what the server of the same source serves. [VER-1]"""

import re
from pathlib import Path

from crosswind.api_versions import API_VERSIONS, newest, range_text
from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.releases import CURRENT

ROOT = Path(__file__).parents[2]


def go_versions() -> list[str]:
    source = (ROOT / "sdk_go" / "internal" / "apiversion" / "apiversion.go").read_text()
    found = re.search(r'^var spoken = "([\d,-]+)"$', source, re.MULTILINE)
    assert found is not None
    return found[1].split(",")


def test_both_sdks_speak_the_servers_newest_version_first():
    assert newest() == go_versions()[0] == str(CURRENT)
    for versions in (list(API_VERSIONS), go_versions()):
        assert versions == sorted({str(ApiVersion.parse(version)) for version in versions}, reverse=True)


def test_no_other_module_of_an_sdk_names_a_version():
    dates = re.compile(r"""["'](20\d\d-\d\d-\d\d)["']""")
    for folder, suffix in (("sdk_python/src", ".py"), ("sdk_go", ".go")):
        for file in (ROOT / folder).rglob(f"*{suffix}"):
            if file.name in ("api_versions.py", "apiversion.go") or "_test" in file.name or file.match("*/v1/*"):
                continue
            found = set(dates.findall(file.read_text())) & {*API_VERSIONS, *go_versions()}
            assert not found, f"{file} names {found}"


def test_a_range_is_said_the_same_in_any_order():
    assert range_text(["2027-02-10", "2026-12-01"]) == range_text(("2026-12-01", "2027-02-10"))
    assert range_text(("2026-12-01",)) == "2026-12-01"
