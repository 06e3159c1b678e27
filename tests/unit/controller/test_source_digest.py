"""The operator's digest of a source and the runner's are the same."""

from __future__ import annotations

import base64

import pytest
from tests.unit.controller.situations import digest, observed, spec

from dbmigrate.controller.observation import ConfigMapView
from dbmigrate.controller.views import config_map_files
from dbmigrate.migrations.folder import read_source


def mount(folder, config_map):
    """Lay out a ConfigMap as kubelet mounts it: links through a hidden folder."""
    data = folder / "..2026_06_01"
    data.mkdir(parents=True)
    for key, text in config_map.get("data", {}).items():
        (data / key).write_bytes(text.encode())
        (folder / key).symlink_to(f"..data/{key}")
    for key, text in config_map.get("binaryData", {}).items():
        (data / key).write_bytes(base64.b64decode(text))
        (folder / key).symlink_to(f"..data/{key}")
    (folder / "..data").symlink_to(data.name)


def view(name, config_map):
    """A raw ConfigMap as it is observed."""
    return ConfigMapView(name, found=True, files=config_map_files(config_map))


SQL = {"data": {"v1.0.0_a.sql": "select 'ä';\r\n", "README.md": "x", ".hidden.sql": "x"}}
BINARY = {"binaryData": {"v1.1.0_b.sql": base64.b64encode(b"\xef\xbb\xbfselect 1;").decode()}}
BACK = {"data": {"v1.0.0_rollback.sql": "select 2;"}}
INLINE = {
    "v2.0.0_c.sql": "select 3;\n",
    "v2.0.0_rollback_c.sql": "select 4;",
    "repeatable/views.sql": "select 5;",
}


@pytest.mark.parametrize("path", ["", "rollbacks", "repeatable", "verify"])
def test_operator_and_runner_agree_on_the_digest(tmp_path, path):
    """What the operator expects is what the runner finds in its mounts, to the last byte."""
    mount(tmp_path / "0", SQL)
    mount(tmp_path / "1", BINARY)
    mount(tmp_path / "2" / path, BACK)
    hidden = tmp_path / "inline" / "..data"  # kubelet links what is at the top into it
    for name, text in INLINE.items():
        (hidden / name).parent.mkdir(parents=True, exist_ok=True)
        (hidden / name).write_bytes(text.encode())
    for name in {name.partition("/")[0] for name in INLINE}:
        (tmp_path / "inline" / name).symlink_to(f"..data/{name}")
    folders = [tmp_path / "0", tmp_path / "1", tmp_path / "2", tmp_path / "inline"]

    maps = [{"name": "sql"}, {"name": "binary"}, {"name": "back", "path": path}]
    seen = observed(
        spec=spec(source={"configMaps": maps, "inline": INLINE}),
        config_maps=(view("sql", SQL), view("binary", BINARY), view("back", BACK)),
    )
    assert digest(seen) == read_source(folders).digest
