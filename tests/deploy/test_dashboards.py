"""The dashboards as files; that their queries find something is in ``tests/process``."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
import yaml

from tests.deploy.dashboards import (
    DASHBOARDS,
    DATASOURCE,
    FOLDER,
    STORES,
    Dashboard,
    Query,
    Store,
    document,
    files,
    influxql,
    metricsql,
)


def test_the_files_are_those_of_the_definition() -> None:
    """``make generated`` writes them."""
    found = {path: path.read_text(encoding="utf-8") for path in FOLDER.rglob("dashboards/*/*.json")}
    assert found == files()


def test_a_query_says_the_same_in_both_languages() -> None:
    query = Query("sum", "fact", "count", {"kind": "a|b", "subject": "$door"}, ("reason",))
    assert influxql(query) == (
        'SELECT sum("count") FROM "fact" WHERE "gateway" =~ /^($gateway)$/ AND "kind" =~ /^(a|b)$/'
        ' AND "subject" =~ /^($door)$/ AND $timeFilter GROUP BY time($__interval), "reason" fill(0)'
    )
    assert metricsql(query) == (
        'sum by (reason) (sum_over_time(fact_count{gateway=~"$gateway", kind=~"a|b",'
        ' subject=~"$door"}[$__interval]))'
    )
    whole = Query("p95", "door_opened", "press_to_open_ms", {"cause": "request"}, whole=True)
    assert influxql(whole) == (
        'SELECT percentile("press_to_open_ms", 95) FROM "door_opened" WHERE "gateway" =~'
        " /^($gateway)$/ AND \"cause\" = 'request' AND $timeFilter"
    )
    assert metricsql(whole) == (
        'max (quantile_over_time(0.95, door_opened_press_to_open_ms{gateway=~"$gateway",'
        ' cause="request"}[$__range]))'
    )


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_a_dashboard_is_one_that_grafana_draws(dashboard: Dashboard, store: Store) -> None:
    shown = json.loads(json.dumps(document(dashboard, store)))
    names = {one["name"] for one in shown["templating"]["list"]}
    for panel in shown["panels"]:
        at = panel["gridPos"]
        assert 0 < at["w"] <= 24 - at["x"]
        assert panel["title"]
        assert panel["datasource"] == DATASOURCE[store]
        for target in panel["targets"]:
            text = target.get("query") or target["expr"]
            assert all(f"${name}" not in text for name in {"door", "room", "point"} - names)
    for one, other in combinations([panel["gridPos"] for panel in shown["panels"]], 2):
        beside = one["x"] >= other["x"] + other["w"] or other["x"] >= one["x"] + one["w"]
        assert beside or one["y"] >= other["y"] + other["h"] or other["y"] >= one["y"] + one["h"]


def test_ids_are_used_once() -> None:
    uids = [dashboard.uid for dashboard in DASHBOARDS]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("store", STORES)
def test_grafana_is_told_of_the_store_and_of_the_folder(store: Store) -> None:
    folder = FOLDER / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / f"portier-{store}.yaml").read_text())[
        "datasources"
    ]
    assert {"type": source["type"], "uid": source["uid"]} == DATASOURCE[store]
    (provider,) = yaml.safe_load((folder / "dashboards" / "portier.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards/portier"
