"""The kustomize configuration and its example, by the kustomize within the real kubectl."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.clients import client_program

CONFIG = Path(__file__).parents[2] / "config" / "kustomize"


def build(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The objects that the folder makes, by kind."""
    done = subprocess.run(
        [client_program("kubectl"), "kustomize", folder], check=True, capture_output=True, text=True
    )
    objects: dict[str, list[dict[str, Any]]] = {}
    for each in yaml.safe_load_all(done.stdout):
        objects.setdefault(each["kind"], []).append(each)
    return objects


def config_maps_of(objects: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[str]]:
    """Names that the resource refers to, and names that there are."""
    (migration,) = objects["DatabaseMigration"]
    wanted = [each["name"] for each in migration["spec"]["source"]["configMaps"]]
    return wanted, [each["metadata"]["name"] for each in objects["ConfigMap"]]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example, to be changed."""
    return Path(shutil.copytree(CONFIG / "example", tmp_path / "example"))


def test_the_examples_copy_of_the_configuration_is_the_one_that_we_ship() -> None:
    """Kustomize reads no file outside its folder, so that the example must have a copy."""
    copies = [CONFIG / "dbmigrate.yaml", CONFIG / "example" / "base" / "dbmigrate.yaml"]
    assert len({hashlib.sha256(each.read_bytes()).digest() for each in copies}) == 1


@pytest.mark.parametrize("folder", ["base", "overlays/production"])
def test_the_resource_names_the_generated_config_maps(folder: str) -> None:
    """The hash, and an overlay's suffix, are in the reference as in the name."""
    wanted, there = config_maps_of(build(CONFIG / "example" / folder))
    assert sorted(wanted) == sorted(there)
    assert all(name not in ("shop-sql", "shop-rollbacks") for name in wanted)


def test_a_changed_file_changes_the_resource(example: Path) -> None:
    """So its generation is raised, and Ready cannot stay True from before."""
    before, _ = config_maps_of(build(example / "base"))
    with (example / "base/sql/v1.1.0_customer_email.sql").open("a") as file:
        file.write("-- changed\n")
    after, _ = config_maps_of(build(example / "base"))
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_the_other_references_are_renamed_too(example: Path) -> None:
    """A generated Secret, a service account, and the runner's image."""
    overlay = example / "overlays/production"
    settings = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    settings["configurations"] = ["dbmigrate.yaml"]
    settings["secretGenerator"] = [{"name": "shop-db", "literals": ["uri=postgresql://db/shop"]}]
    settings["images"] = [{"name": "runner", "newName": "r.example/runner", "newTag": "2"}]
    settings["resources"].append("account.yaml")
    settings["patches"].append({"patch": yaml.dump(MORE)})
    (overlay / "kustomization.yaml").write_text(yaml.dump(settings))
    (overlay / "account.yaml").write_text(yaml.dump(ACCOUNT))
    shutil.copy(CONFIG / "dbmigrate.yaml", overlay)

    objects = build(overlay)
    (migration,) = objects["DatabaseMigration"]
    (secret,), (account,) = objects["Secret"], objects["ServiceAccount"]
    assert migration["spec"]["database"]["secretRef"]["name"] == secret["metadata"]["name"]
    template = migration["spec"]["jobTemplate"]
    assert template["serviceAccountName"] == account["metadata"]["name"] == "runner-production"
    assert template["image"] == "r.example/runner:2"


ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}}
MORE = {
    "apiVersion": "dbmigrate.dev/v1alpha1",
    "kind": "DatabaseMigration",
    "metadata": {"name": "shop"},
    "spec": {
        "database": {"secretRef": {"name": "shop-db"}},
        "jobTemplate": {"image": "runner:1", "serviceAccountName": "runner"},
    },
}
