"""The collector configurations of examples/collector hold together, and say nothing that its components don't know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is in the extra test")

EXAMPLES = Path(__file__).parents[1] / "examples" / "collector"
_KNOWN = json.loads((Path(__file__).parent / "data" / "collector" / "components.json").read_text(encoding="utf-8"))
_KINDS = ("receivers", "processors", "exporters", "extensions")
_GATEWAYS = [["gateway.yaml", path.name] for path in sorted(EXAMPLES.glob("to_*.yaml"))]
COLLECTORS = [["agent.yaml"], ["agent.yaml", "folders.yaml"], *_GATEWAYS]


def _merged(one: Any, other: Any) -> Any:
    """Merge as ``otelcol --config one --config other`` does: maps are merged, everything else is replaced."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: _merged(one.get(key), value) for key, value in other.items()}}
    return other


@pytest.fixture(params=COLLECTORS, ids="+".join)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in request.param:
        found = _merged(found, yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8")))
    return found


def test_every_file_is_part_of_a_collector() -> None:
    assert {name for names in COLLECTORS for name in names} == {path.name for path in EXAMPLES.glob("*.yaml")}


def test_what_a_pipeline_names_is_defined_and_what_is_defined_is_named(config: dict[str, Any]) -> None:
    service = config["service"]
    (pipeline,) = service["pipelines"].values()
    named = {**pipeline, "extensions": service["extensions"]}
    assert set(named) == set(_KINDS)
    for kind in _KINDS:
        assert set(named[kind]) == set(config[kind]), kind
        assert named[kind], kind


def test_whatever_waits_does_so_on_disk(config: dict[str, Any]) -> None:
    for exporter in config["exporters"].values():
        queue = exporter["sending_queue"]
        assert queue["enabled"]
        assert queue["storage"] in config["extensions"]
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    for receiver in config["receivers"].values():
        assert receiver.get("storage", "file_storage") in config["extensions"]


def test_its_components_know_every_setting(config: dict[str, Any]) -> None:
    unknown = [
        f"{kind}.{name}.{setting}"
        for kind in _KINDS
        for name, settings in config[kind].items()
        for setting in _unknown(settings, _KNOWN[kind][name.partition("/")[0]])
    ]
    assert unknown == []


def _unknown(given: Any, known: Any) -> Iterator[str]:
    """Yield the settings that a component has not; ``known`` is as tests/data/collector/components.json says."""
    known = _KNOWN["shared"].get(known, known) if isinstance(known, str) else known
    if isinstance(given, list) and isinstance(known, list):
        for item in given:
            yield from _unknown(item, known[0])
    elif isinstance(given, Mapping) and known != "any":
        for name, value in given.items():
            if not isinstance(known, Mapping) or name not in known:
                yield str(name)
            else:
                yield from (f"{name}.{below}" for below in _unknown(value, known[name]))
    elif known is not True and known != "any":
        yield "(no map)"


def test_every_policy_configures_its_own_type() -> None:
    gateway = yaml.safe_load((EXAMPLES / "gateway.yaml").read_text(encoding="utf-8"))
    policies = gateway["processors"]["tail_sampling"]["policies"]
    assert [set(policy) - {"name", "type"} for policy in policies] == [{policy["type"]} for policy in policies]


def test_the_readme_names_every_file_and_every_variable() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    texts = {path.name: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.yaml")}
    assert [name for name in texts if name not in readme] == []
    variables = {name for text in texts.values() for name in re.findall(r"\$\{env:(\w+)", text)}
    assert [name for name in sorted(variables) if name not in readme] == []
