"""What the chart renders, by the real helm; nothing of it is sent to a cluster."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.clients import client_program

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "dbmigrate-operator"
DIGEST = "sha256:" + "0" * 64

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]


@pytest.fixture(scope="module")
def helm() -> Path:
    """The program, found once."""
    return client_program("helm")


@pytest.fixture(scope="module")
def render(helm: Path) -> Render:
    """Render the chart with values (as JSON after each path): the objects."""

    def rendered(**values: Any) -> Objects:
        text = _template(helm, values).stdout
        return [each for each in yaml.safe_load_all(text) if each]

    return rendered


def _template(helm: Path, values: dict[str, Any], *, check: bool = True) -> Any:
    settings = [
        f"--set-json={path.replace('__', '.')}={json.dumps(v)}" for path, v in values.items()
    ]
    return subprocess.run(
        [helm, "template", "exams", CHART, "--namespace=tools", *settings],
        check=check,
        capture_output=True,
        text=True,
    )


def _only(objects: Objects, kind: str) -> dict[str, Any]:
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def _rules(objects: Objects) -> Iterator[dict[str, Any]]:
    for each in objects:
        if each["kind"] in ("Role", "ClusterRole"):
            yield from each["rules"]


def _operator_role(objects: Objects) -> dict[str, Any]:
    return next(
        each
        for each in objects
        if each["kind"] in ("Role", "ClusterRole")
        and any("jobs" in rule["resources"] for rule in each["rules"])
    )


def test_helm_finds_nothing_to_say(helm: Path) -> None:
    """`helm lint --strict` passes with the values as shipped."""
    done = subprocess.run(
        [helm, "lint", "--strict", CHART], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_value_is_refused(helm: Path) -> None:
    """The message names the value."""
    done = _template(helm, {"runner__ttlSecondsAfterFinnished": 60}, check=False)
    assert done.returncode != 0
    assert "ttlSecondsAfterFinnished" in done.stderr


@pytest.mark.parametrize(
    "values",
    [
        {"log__level": "loud"},
        {"resyncInterval": "five minutes"},
        {"image__digest": "sha256:beef"},
        {"replicas": -1},
        {"watch__namespaces": ["Not_A_Name"]},
        {"runner__image__tag": "1.2.3"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_value_that_cannot_be_meant_is_refused(helm: Path, values: dict[str, Any]) -> None:
    """It fails before anything is installed."""
    assert _template(helm, values, check=False).returncode != 0


@pytest.mark.parametrize("namespaces", [[], ["shop", "bank"]], ids=["all", "list"])
def test_no_rule_has_a_wildcard_or_secrets(render: Render, namespaces: list[str]) -> None:
    """Not for the operator, and not in the roles for people."""
    objects = render(watch__namespaces=namespaces)
    assert list(_rules(objects))
    for rule in _rules(objects):
        words = rule["apiGroups"] + rule["resources"] + rule["verbs"]
        assert "*" not in words
        assert "secrets" not in words
        assert not {"escalate", "bind", "impersonate"} & set(words)


def test_the_operator_may_do_this_and_nothing_else(render: Render) -> None:
    """Every right is named here; a new one is a decision."""
    rights = {
        f"{group}/{resource}".lstrip("/"): " ".join(rule["verbs"])
        for rule in _operator_role(render())["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert rights == {
        "dbmigrate.dev/databasemigrations": "get list watch",
        "dbmigrate.dev/databasemigrations/status": "patch",
        "batch/jobs": "get list watch create delete",
        "pods": "list watch patch",
        "pods/log": "get",
        "configmaps": "get list watch",
        "events": "create",
    }


def test_a_list_of_namespaces_gives_no_cluster_wide_right(render: Render) -> None:
    """A Role and its binding in each namespace, bound to the release's account."""
    objects = render(watch__namespaces=["shop", "bank"], rbac__aggregateToUserRoles=False)
    kinds = {each["kind"] for each in objects}
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds
    bindings = [each for each in objects if each["kind"] == "RoleBinding"]
    assert [each["metadata"]["namespace"] for each in bindings] == ["shop", "bank"]
    account = _only(objects, "ServiceAccount")["metadata"]
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_the_list_of_namespaces_reaches_the_operator(render: Render) -> None:
    """What it may watch and what it does watch are one list."""
    assert _environment(render(watch__namespaces=["shop", "bank"]))[
        "DBMIGRATE_OPERATOR_NAMESPACES"
    ] == ("shop,bank")


def test_people_get_their_rights_through_the_clusters_own_roles(render: Render) -> None:
    """Viewers read, editors write the spec; nobody writes the status."""
    roles = [
        each
        for each in render()
        if any("aggregate-to" in key for key in each["metadata"].get("labels", {}))
    ]
    by_name = {each["metadata"]["name"].rpartition(":")[2]: each for each in roles}
    assert set(by_name) == {"view", "edit"}
    assert by_name["view"]["rules"][0]["verbs"] == ["get", "list", "watch"]
    (edit,) = by_name["edit"]["rules"]
    assert edit["resources"] == ["databasemigrations"]


def test_the_crd_is_the_generated_one_and_is_kept(render: Render) -> None:
    """Helm's reading and writing of it changes nothing, and uninstalling leaves it."""
    crd = _only(render(), "CustomResourceDefinition")
    file = ROOT / "crds" / "dbmigrate.dev_databasemigrations.yaml"
    assert crd["spec"] == yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_crds_can_be_left_to_someone_else(render: Render) -> None:
    """crds.install=false renders none."""
    kinds = [each["kind"] for each in render(crds__install=False)]
    assert "CustomResourceDefinition" not in kinds


def test_the_runner_has_the_operators_image_when_none_is_given(render: Render) -> None:
    """One image holds both programs."""
    objects = render(image__repository="registry.example/dbmigrate", image__tag="1.2.3")
    assert _environment(objects)["DBMIGRATE_OPERATOR_RUNNER_IMAGE"] == _container(objects)["image"]
    assert _container(objects)["image"] == "registry.example/dbmigrate:1.2.3"


def test_a_digest_wins_over_the_tag(render: Render) -> None:
    """What is pinned is what runs."""
    objects = render(
        image__tag="1.2.3", image__digest=DIGEST, runner__image__repository="r.example/runner"
    )
    assert _container(objects)["image"] == f"localhost/dbmigrate@{DIGEST}"
    assert _environment(objects)["DBMIGRATE_OPERATOR_RUNNER_IMAGE"].startswith("r.example/runner:")


def test_labels_of_a_user_never_break_the_selector(render: Render) -> None:
    """A pod label that the selector needs stays ours: the Deployment would be refused."""
    objects = render(podLabels={"app.kubernetes.io/name": "mine", "team": "data"})
    spec = _only(objects, "Deployment")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert labels["team"] == "data"


def test_every_option_renders(render: Render) -> None:
    """Each value that is empty as shipped, set at once; each is found again."""
    objects = render(
        imagePullSecrets=[{"name": "pull"}],
        serviceAccount__annotations={"cloud.example/role": "r"},
        commonLabels={"team": "data"},
        podAnnotations={"note": "n"},
        priorityClassName="high",
        nodeSelector={"disk": "ssd"},
        tolerations=[{"operator": "Exists"}],
        affinity={"podAntiAffinity": {}},
        topologySpreadConstraints=[{"maxSkew": 1}],
        podDisruptionBudget__enabled=True,
        networkPolicy__enabled=True,
        networkPolicy__healthFrom=[{"namespaceSelector": {}}],
        replicas=2,
    )
    assert all(each["metadata"]["labels"]["team"] == "data" for each in objects)
    pod = _only(objects, "Deployment")["spec"]["template"]
    assert pod["metadata"]["annotations"]["note"] == "n"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["spec"]["priorityClassName"] == "high"
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert pod["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert pod["spec"]["affinity"] == {"podAntiAffinity": {}}
    assert pod["spec"]["topologySpreadConstraints"] == [{"maxSkew": 1}]
    assert _only(objects, "ServiceAccount")["metadata"]["annotations"] == {
        "cloud.example/role": "r"
    }
    assert _only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    egress = _only(objects, "NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [53, 53, 443, 6443]


def _container(objects: Objects) -> dict[str, Any]:
    (container,) = _only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def _environment(objects: Objects) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in _container(objects)["env"]}
