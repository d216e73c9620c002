"""What is deployed by the examples exists: commands, options, settings, probes, names; and everything has time to stop."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from nooble.cli.main import app
from nooble.config import CommonAppSettings
from nooble.observability.probes import Probes, Verdict
from nooble.wire.keys import QueueManager

ROOT = Path(__file__).parent.parent
FILES = ROOT / "examples/deploy"
PAGE = ROOT / "docs/guides/deploying.md"
BEYOND = 10
"""Seconds beyond the grace that a process gets to stop."""
FOREIGN = {"PATH", "PYTHONUNBUFFERED", "VIRTUAL_ENV", "UV_COMPILE_BYTECODE", "UV_LINK_MODE"}
INSTRUCTIONS = [
    "FROM",
    "COPY",
    "ENV",
    "WORKDIR",
    "RUN",
    "USER",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
]


# ── what there is ──


def problems_with(words: list[str]) -> list[str]:
    """What is wrong with `nooble WORDS`."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            return [f"no command {name}"]
        command = command.commands[name]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return [f"no option {word}" for word in words if word.startswith("-") and word.partition("=")[0] not in known]


def is_known(variable: str) -> bool:
    """Whether something reads this variable."""
    if variable.lower() in CommonAppSettings.model_fields or variable in FOREIGN:
        return True
    prefix, _, rest = variable.partition("_")
    command, _, option = rest.partition("_")
    return prefix == "NOOBLE" and not problems_with([command.lower(), f"--{option.lower().replace('_', '-')}"])


def pages() -> set[str]:
    """What the probes answer."""
    with Probes(0, live=lambda: Verdict(True, {}), ready=lambda: Verdict(True, {})) as probes:
        return set(probes._server.pages)


def loaded(name: str) -> list[Any]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all((FILES / name).read_text()))


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile."""
    text = re.sub(r"\\\n\s*", "", (FILES / "Dockerfile").read_text())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, rest in lines]


def directives() -> dict[str, dict[str, list[str]]]:
    """The sections of the unit: directives may be repeated."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (FILES / "pedidos.service").read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.setdefault(name, []).append(value)
    return sections


# ── the page ──


def test_the_page_shows_the_files_as_they_are() -> None:
    """If this fails: python -m tests.test_deploying."""
    assert PAGE.read_text() == drawn(PAGE.read_text())
    shown = set(re.findall(r"<!-- file: (\S+) -->", PAGE.read_text()))
    assert shown == {f"examples/deploy/{one.name}" for one in FILES.iterdir()}


def drawn(page: str) -> str:
    """*page*, with the files that it shows."""
    return re.sub(
        r"(<!-- file: (\S+) -->\n```\w+\n).*?```\n",
        lambda found: f"{found[1]}{(ROOT / found[2]).read_text()}```\n",
        page,
        flags=re.DOTALL,
    )


def test_every_setting_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)[=`]", PAGE.read_text()))
    assert len(named) > 8
    assert not [name for name in named if not is_known(name) and name != "DASHBOARD_TOKEN"]


# ── docker ──


def test_the_image_is_small_runs_without_root_and_hears_signals() -> None:
    found = instructions()
    assert {name for name, _ in found} <= set(INSTRUCTIONS)
    assert [rest for name, rest in found if name == "FROM"][-1].endswith("-slim")
    users = [rest for name, rest in found if name == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    by_name = dict(found)
    words = json.loads(by_name["ENTRYPOINT"]) + json.loads(by_name["CMD"])
    assert words[0] == "nooble"
    assert not problems_with(words[1:])
    check = by_name["HEALTHCHECK"].partition("CMD ")[2]
    assert json.loads(check)[0] == "python"
    compile(json.loads(check)[2], "HEALTHCHECK", "exec")


def test_what_the_image_sets_is_read_by_something() -> None:
    env = dict(pair.split("=", 1) for name, rest in instructions() if name == "ENV" for pair in shlex.split(rest))
    assert not [name for name in env if not is_known(name)]
    assert env["PROBE_PORT"] == dict(instructions())["EXPOSE"]
    assert f":{env['PROBE_PORT']}/livez" in dict(instructions())["HEALTHCHECK"]
    CommonAppSettings(service_name="x", **{name.lower(): env[name] for name in env if name not in FOREIGN})  # type: ignore[arg-type]


# ── compose ──

OF_A_SERVICE = {
    *("image", "build", "command", "environment", "volumes", "ports", "healthcheck", "depends_on", "restart"),
    *("stop_grace_period", "read_only", "tmpfs", "cap_drop", "security_opt"),
}


def test_the_compose_file_has_what_compose_knows_and_nothing_that_is_not_there() -> None:
    (file,) = loaded("compose.yaml")
    assert file.keys() <= {"services", "volumes"}
    for service in file["services"].values():
        assert service.keys() <= OF_A_SERVICE
        assert set(service.get("depends_on", ())) <= file["services"].keys()
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in file["volumes"]
        if "build" in service:
            assert not [name for name in service["environment"] if not is_known(name)]
            assert not problems_with(service.get("command", ["run", "pedidos"]))


def test_the_server_of_the_compose_file_keeps_what_it_has_and_nobody_gets_in_from_outside() -> None:
    (file,) = loaded("compose.yaml")
    words = file["services"]["valkey"]["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")
    assert options["--requirepass"].startswith("${REDIS_PASSWORD:?")
    ports = [port for service in file["services"].values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_everything_gets_longer_to_stop_than_its_grace() -> None:
    (compose,) = loaded("compose.yaml")
    service = compose["services"]["pedidos"]
    grace = float(service["environment"]["WORKER_GRACE_SECONDS"])
    assert float(service["stop_grace_period"].removesuffix("s")) >= grace + BEYOND
    unit = directives()["Service"]
    (grace,) = (float(one.split("=")[1]) for one in unit["Environment"] if one.startswith("WORKER_GRACE_SECONDS="))
    assert float(unit["TimeoutStopSec"][0]) >= grace + BEYOND
    pod = deployment()["spec"]["template"]["spec"]
    (grace,) = (float(one["value"]) for one in pod["containers"][0]["env"] if one["name"] == "WORKER_GRACE_SECONDS")
    assert pod["terminationGracePeriodSeconds"] >= grace + BEYOND


# ── systemd ──

OF_A_UNIT = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {
        *(
            "Type",
            "NotifyAccess",
            "User",
            "WorkingDirectory",
            "Environment",
            "EnvironmentFile",
            "ExecStart",
            "WatchdogSec",
        ),
        *("TimeoutStopSec", "KillMode", "Restart", "RestartSec", "NoNewPrivileges", "ProtectSystem", "ProtectHome"),
        "PrivateTmp",
    },
    "Install": {"WantedBy"},
}


def test_the_unit_is_notified_and_runs_what_exists() -> None:
    unit = directives()
    assert unit.keys() == OF_A_UNIT.keys()
    assert all(unit[section].keys() <= known for section, known in OF_A_UNIT.items())
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"]) == (["notify"], ["main"])
    program, *words = shlex.split(service["ExecStart"][0])
    assert Path(program).name == "nooble"
    assert not problems_with(words)
    assert not [one for one in service["Environment"] if not is_known(one.partition("=")[0])]
    lease = CommonAppSettings.model_fields["worker_lease_seconds"].default
    assert float(service["WatchdogSec"][0]) > lease


# ── kubernetes ──

Shape = dict[str, Any]
MAP: Any = dict[str, str]
PROBE: Shape = {
    "httpGet": {"path": str, "port": str},
    "periodSeconds": int,
    "timeoutSeconds": int,
    "failureThreshold": int,
}
CONTAINER: Shape = {
    "name": str,
    "image": str,
    "args": [str],
    "env": [{"name": str, "value": str}],
    "envFrom": [{"secretRef": {"name": str}}],
    "ports": [{"name": str, "containerPort": int}],
    "startupProbe": PROBE,
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "resources": {"requests": MAP, "limits": MAP},
    "volumeMounts": [{"name": str, "mountPath": str}],
    "securityContext": {
        "allowPrivilegeEscalation": bool,
        "readOnlyRootFilesystem": bool,
        "capabilities": {"drop": [str]},
    },
}
POD: Shape = {
    "terminationGracePeriodSeconds": int,
    "containers": [CONTAINER],
    "volumes": [{"name": str, "emptyDir": {}}],
    "securityContext": {"runAsNonRoot": bool, "runAsUser": int, "seccompProfile": {"type": str}},
}
OBJECT: Shape = {"apiVersion": str, "kind": str, "metadata": {"name": str, "labels": MAP, "annotations": MAP}}
KINDS: dict[tuple[str, str], Shape] = {
    ("v1", "Secret"): OBJECT | {"stringData": MAP},
    ("apps/v1", "Deployment"): OBJECT
    | {
        "spec": {
            "replicas": int,
            "selector": {"matchLabels": MAP},
            "strategy": {"rollingUpdate": {"maxUnavailable": int, "maxSurge": int}},
            "template": {"metadata": {"labels": MAP, "annotations": MAP}, "spec": POD},
        }
    },
    ("keda.sh/v1alpha1", "TriggerAuthentication"): OBJECT
    | {"spec": {"secretTargetRef": [{"parameter": str, "name": str, "key": str}]}},
    ("keda.sh/v1alpha1", "ScaledObject"): OBJECT
    | {
        "spec": {
            "scaleTargetRef": {"name": str},
            "minReplicaCount": int,
            "maxReplicaCount": int,
            "cooldownPeriod": int,
            "triggers": [{"type": str, "metadata": MAP, "authenticationRef": {"name": str}}],
        }
    },
}
"""The fields of the API that the examples use, and the types of their values."""


def misfits(value: Any, shape: Any, at: str = "") -> list[str]:
    """Where *value* is not of *shape*."""
    if shape == MAP:
        fine = isinstance(value, dict) and all(isinstance(one, str) for pair in value.items() for one in pair)
        return [] if fine else [f"{at} maps text to text"]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{at} is an object"]
        return [
            text
            for name, one in value.items()
            for text in (misfits(one, shape[name], f"{at}.{name}") if name in shape else [f"{at} has no {name}"])
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at} is a list"]
        return [text for number, one in enumerate(value) for text in misfits(one, shape[0], f"{at}[{number}]")]
    return [] if type(value) is shape else [f"{at} is {shape.__name__}, not {value!r}"]


def deployment() -> Any:
    """The Deployment."""
    return next(one for one in loaded("kubernetes.yaml") if one["kind"] == "Deployment")


@pytest.mark.parametrize("name", ["kubernetes.yaml", "keda.yaml"])
def test_objects_have_the_fields_of_the_api(name: str) -> None:
    for one in loaded(name):
        assert misfits(one, KINDS[one["apiVersion"], one["kind"]]) == []


def test_a_field_that_the_api_does_not_have_is_found() -> None:
    one = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": 1}, "stringDatas": {}}
    assert misfits(one, KINDS["v1", "Secret"]) == [".metadata.name is str, not 1", " has no stringDatas"]


def test_the_deployment_asks_the_probes_that_there_are_and_runs_what_exists() -> None:
    spec = deployment()["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert not [name for name in env if not is_known(name)]
    assert not problems_with(container["args"])
    (port,) = container["ports"]
    assert (str(port["containerPort"]), env["PROBE_HOST"]) == (env["PROBE_PORT"], "0.0.0.0")
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {one["path"] for one in asked.values()} == {"/livez", "/readyz"}
    assert {one["path"] for one in asked.values()} <= pages()
    assert asked["readinessProbe"]["path"] == "/readyz"
    assert {one["port"] for one in asked.values()} == {port["name"]}
    template = spec["template"]["metadata"]
    assert spec["selector"]["matchLabels"].items() <= template["labels"].items()
    assert template["annotations"]["prometheus.io/port"] == env["PROBE_PORT"]
    assert template["annotations"]["prometheus.io/path"] in pages()
    secrets = {one["metadata"]["name"]: one for one in loaded("kubernetes.yaml") if one["kind"] == "Secret"}
    (source,) = container["envFrom"]
    assert all(map(is_known, secrets[source["secretRef"]["name"]]["stringData"]))


def test_the_scaler_looks_at_the_stream_of_the_service() -> None:
    authentication, scaled = loaded("keda.yaml")
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment()["metadata"]["name"]
    (trigger,) = scaled["spec"]["triggers"]
    settings = CommonAppSettings(service_name="pedidos", environment="production")
    keys = QueueManager(settings.queue_prefix, settings.environment)
    assert trigger["metadata"]["stream"] == keys.get_service_action_stream("pedidos")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    (secret,) = (one for one in loaded("kubernetes.yaml") if one["kind"] == "Secret")
    (target,) = authentication["spec"]["secretTargetRef"]
    assert target["name"] == secret["metadata"]["name"]
    assert target["key"] in secret["stringData"]


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
