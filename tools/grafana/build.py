#!/usr/bin/env python3
"""Builds the Grafana dashboards in dashboards/grafana.

    build.py           writes them
    build.py --check   fails if they differ from what this program would write
    build.py --rules   prints the PromQL of all panels as recording rules, for `promtool check rules`

A dashboard's JSON repeats most of each panel; here each panel is what differs.
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "dashboards" / "grafana"
WIDTH = 24

CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "${datasource}"}
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}


def admitted(project):
    """Returns the condition for the responses that the variables and the time range admit."""
    # The format `singlequote` escapes quotes only: backslashes are escaped in the values of the variables.
    conditions = {
        "host": "host IN (${host:singlequote})",
        "project": f"{project} IN (${{project:singlequote}})",
        "model": "canonical_model IN (${model:singlequote})",
        "developer": "developer IN (${developer:singlequote})",
    }
    narrowed = [f"$__conditionalAll({condition}, ${name})" for name, condition in conditions.items()]
    return " AND ".join(["$__timeFilter_ms(time)", *narrowed])


RESPONSES = f"${{prefix:raw}}counted_responses WHERE {admitted('project')}"
COSTS = f"${{prefix:raw}}token_costs WHERE {admitted('current_project')}"
# Of a response in `token_costs`, which has no sum of its own.
TOKENS = "toUInt128(input_tokens) + output_tokens + cache_creation_tokens + cache_read_tokens"
CURRENT_PROJECT = "toString(current_project)"


def clickhouse_panel(title, kind, sql, *, size, unit="short", note="", series=False, **options):
    target = {
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "format": 0 if series else 1,
        "pluginVersion": "4.0.0",
        "queryType": "timeseries" if series else "table",
        "rawSql": sql,
        "refId": "A",
    }
    return panel(title, kind, CLICKHOUSE, [target], size, unit, note, options)


def prometheus_panel(title, kind, queries, *, size, unit="short", note="", **options):
    targets = [
        {
            "datasource": PROMETHEUS,
            "editorMode": "code",
            "expr": expr,
            "instant": kind in ("stat", "table"),
            "legendFormat": legend,
            "range": kind not in ("stat", "table"),
            "refId": chr(ord("A") + index),
        }
        for index, (expr, legend) in enumerate(queries)
    ]
    return panel(title, kind, PROMETHEUS, targets, size, unit, note, options)


def panel(title, kind, source, targets, size, unit, note, options):
    defaults = {"unit": unit, "noValue": options.pop("no_value", "–")}
    if "thresholds" in options:
        steps = [{"color": color, "value": value} for color, value in options.pop("thresholds")]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if "mappings" in options:
        values = {str(value): {"text": text, "index": index} for index, (value, text) in enumerate(options.pop("mappings"))}
        defaults["mappings"] = [{"type": "value", "options": values}]
    if kind == "timeseries":
        stacked = options.pop("stacked", False)
        defaults["custom"] = {
            "drawStyle": "bars" if stacked else "line",
            "fillOpacity": 80 if stacked else 8,
            "lineWidth": 0 if stacked else 2,
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        }
    units = options.pop("units", {})
    overrides = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, unit in units.items()
    ]
    assert not options, f"unknown options of {title}: {options}"
    shown = {
        "stat": {"colorMode": "value", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}},
        "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "table": {"cellHeight": "sm", "footer": {"show": False}},
    }[kind]
    return {
        "title": title,
        "description": note,
        "type": kind,
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": shown,
        "size": size,
    }


def by_model(title, value, source, unit, note=""):
    sql = f"SELECT $__timeInterval(time) AS at, toString(canonical_model) AS model, {value} FROM {source} GROUP BY at, model ORDER BY at"
    return clickhouse_panel(title, "timeseries", sql, size=(12, 9), unit=unit, note=note, series=True, stacked=True)


def ranking(title, name, size=(12, 9)):
    sql = (
        f"SELECT if({name} = '', '(none)', {name}) AS name, sum({TOKENS}) AS tokens, "
        f"toFloat64(sum(cost)) AS cost, count() AS responses FROM {COSTS} GROUP BY name ORDER BY tokens DESC LIMIT 100"
    )
    return clickhouse_panel(title, "table", sql, size=size, units={"cost": "currencyUSD"}, note="Costs exclude unpriced responses.")


SESSIONS = f"""SELECT session_id AS session, arrayStringConcat(groupUniqArray({CURRENT_PROJECT}), ', ') AS projects,
    arrayStringConcat(groupUniqArray(toString(canonical_model)), ', ') AS models, sum({TOKENS}) AS tokens,
    toFloat64(sum(cost)) AS cost, count() AS responses, min(time) AS first, max(time) AS last
FROM {COSTS} GROUP BY session_id ORDER BY tokens DESC LIMIT 200"""

# Kept and repeated follow from each session, so that one session's do not hide another's.
RECEIPT = """WITH sessions AS (
    SELECT session_id, sum(read) AS read, sum(read_tokens) AS read_tokens, sum(stored) AS stored, sum(stored_tokens) AS stored_tokens,
        if(stored > read, toUInt64(stored - read), toUInt64(0)) AS kept,
        if(stored_tokens > read_tokens, toUInt128(stored_tokens - read_tokens), toUInt128(0)) AS kept_tokens
    FROM (
        SELECT session_id, snapshots AS read, toUInt128(snapshot_tokens) AS read_tokens, toUInt64(0) AS stored,
            toUInt128(0) AS stored_tokens FROM ${prefix:raw}source_files FINAL
        UNION ALL
        SELECT session_id, 0, 0, 1, toUInt128(total_tokens) FROM ${prefix:raw}counted_responses)
    GROUP BY session_id)
SELECT entry.1 AS line, entry.2 AS tokens, entry.3 AS snapshots FROM (
    SELECT arrayJoin([('1. read from transcripts', toInt128(sum(read_tokens)), toInt64(sum(read))),
        ('2. kept, though the transcript is gone', toInt128(sum(kept_tokens)), toInt64(sum(kept))),
        ('3. repeated, counted once', toInt128(sum(stored_tokens)) - toInt128(sum(read_tokens)) - toInt128(sum(kept_tokens)),
            toInt64(sum(stored)) - toInt64(sum(read)) - toInt64(sum(kept))),
        ('4. stored', toInt128(sum(stored_tokens)), toInt64(sum(stored)))]) AS entry
    FROM sessions) ORDER BY line"""

# As `dashboard().hosts()`: a host is heard of when it reads something, or ends an operation that is on record.
FRESHNESS = """SELECT host, max(seen) AS last_seen, dateDiff('second', last_seen, now64(3)) AS silent_for,
    maxOrNullIf(seen, files > 0) AS last_read, sum(files) AS transcripts
FROM (
    SELECT toString(host) AS host, max(read_at) AS seen, uniqExact(path) AS files FROM ${prefix:raw}source_files GROUP BY host
    UNION ALL
    SELECT toString(host) AS host, max(time) AS seen, 0 AS files FROM ${prefix:raw}bridge_audit
    WHERE time >= now() - INTERVAL 30 DAY AND host != '' GROUP BY host)
GROUP BY host ORDER BY last_seen"""

UNPRICED = f"""SELECT toString(canonical_model) AS model, unpriced AS reason, min(time) AS since, count() AS responses, sum({TOKENS}) AS tokens
FROM {COSTS} AND unpriced != '' GROUP BY model, reason ORDER BY tokens DESC LIMIT 100"""

TOKEN_PANELS = [
    clickhouse_panel("Tokens", "stat", f"SELECT sum(total_tokens) AS tokens FROM {RESPONSES}", size=(4, 4),
                     note="Exact: each response counts once. A lower bound while some responses are unfinished."),
    clickhouse_panel("Cost, at least", "stat", f"SELECT toFloat64(sum(cost)) AS cost FROM {COSTS}", size=(4, 4), unit="currencyUSD",
                     note="Each response at the price of its own time, without unpriced responses; the next panel shows their share."),
    clickhouse_panel("Unpriced tokens", "stat", f"SELECT sumIf({TOKENS}, unpriced != '') / greatest(sum({TOKENS}), 1) AS share FROM {COSTS}",
                     size=(4, 4), unit="percentunit", thresholds=[("green", None), ("orange", 0.001), ("red", 0.05)]),
    clickhouse_panel("Finished responses", "stat",
                     f"SELECT countIf(finished AND total_tokens > 0) / greatest(countIf(total_tokens > 0), 1) AS share FROM {RESPONSES}",
                     size=(4, 4), unit="percentunit",
                     note="Share of responses with a final count. For the others, the last recorded output counts: a lower bound."),
    clickhouse_panel("Cache hits", "stat",
                     f"SELECT sum(cache_read_tokens) / greatest(sum(toUInt128(input_tokens) + cache_creation_tokens + cache_read_tokens), 1) AS share FROM {RESPONSES}",
                     size=(4, 4), unit="percentunit", note="Share of prompt tokens read from the cache."),
    clickhouse_panel("Sessions", "stat", f"SELECT uniqExact(session_id) AS sessions FROM {RESPONSES}", size=(4, 4)),
    by_model("Tokens by model", "sum(total_tokens) AS tokens", RESPONSES, "short"),
    by_model("Cost by model", "toFloat64(sum(cost)) AS cost", COSTS, "currencyUSD", "Excludes unpriced responses."),
    ranking("Projects", CURRENT_PROJECT),
    ranking("Developers", "toString(developer)"),
    ranking("Hosts", "toString(host)"),
    ranking("Branches", "toString(branch)"),
    clickhouse_panel("Sessions by tokens", "table", SESSIONS, size=(24, 9), units={"cost": "currencyUSD"},
                     note="Costs exclude unpriced responses."),
    clickhouse_panel("Receipt of the whole store", "table", RECEIPT, size=(12, 7),
                     note="Derivation of the stored total, independent of the variables and the time range."),
    clickhouse_panel("Freshness by host", "table", FRESHNESS, size=(12, 7), units={"silent_for": "s"},
                     note="When each host was last seen: its last read of a transcript or recorded operation. A running host is seen every five minutes."),
    clickhouse_panel("Unpriced models", "table", UNPRICED, size=(12, 8), note="Models without a price in the active price list, and the reason."),
    clickhouse_panel("Cost by origin", "table",
                     f"SELECT toString(origin) AS origin, count() AS responses, sum({TOKENS}) AS tokens, toFloat64(sum(cost)) AS cost "
                     f"FROM {COSTS} GROUP BY origin ORDER BY tokens DESC", size=(12, 8), units={"cost": "currencyUSD"},
                     note="Answers, nested agents, declined attempts, compactions and advisors."),
]

JOB = 'job=~"$job"'


def rate(metric, by="", labels=""):
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{JOB}{labels}}}[$__rate_interval]))"


def quantile(metric, by, q=0.99):
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({metric}_bucket{{{JOB}}}[$__rate_interval])))"


SERVICE_PANELS = [
    prometheus_panel("Health", "stat", [(f"max(bridge_health_state{{{JOB}}})", "")], size=(4, 4),
                     mappings=[(0, "healthy"), (1, "degraded"), (2, "unhealthy")],
                     thresholds=[("green", None), ("orange", 1), ("red", 2)]),
    prometheus_panel("Data freshness", "stat", [(f"max(bridge_data_freshness_seconds{{{JOB}}})", "")], size=(4, 4), unit="s",
                     note="Time since the last successful backfill or synchronization.",
                     thresholds=[("green", None), ("orange", 300), ("red", 900)]),
    prometheus_panel("Failed operations", "stat",
                     [(f'sum(rate(bridge_operations_total{{{JOB},outcome="failed"}}[1h])) / sum(rate(bridge_operations_total{{{JOB}}}[1h]))', "")],
                     size=(4, 4), unit="percentunit", thresholds=[("green", None), ("red", 0.001)]),
    prometheus_panel("Expiring, not stored", "stat", [(f"sum(bridge_expiring_transcripts{{{JOB}}})", "")], size=(4, 4),
                     note="Transcripts that the client will delete and that are not stored.", thresholds=[("green", None), ("red", 1)]),
    prometheus_panel("Circuit breaker", "stat", [(f"max(bridge_store_circuit_open{{{JOB}}})", "")], size=(4, 4),
                     mappings=[(0, "closed"), (1, "open")], thresholds=[("green", None), ("red", 1)]),
    prometheus_panel("Audit records dropped", "stat", [(f"sum(bridge_audit_dropped_total{{{JOB}}})", "")], size=(4, 4),
                     thresholds=[("green", None), ("red", 1)]),
    prometheus_panel("Budgets spent", "timeseries",
                     [(f"max by (budget) (bridge_budget_spent_ratio{{{JOB}}})", "{{budget}}"),
                      (f"max by (budget) (bridge_budget_projected_ratio{{{JOB}}})", "{{budget}}, projected")], size=(8, 8), unit="percentunit"),
    prometheus_panel("Unpriced tokens by budget", "timeseries", [(f"max by (budget) (bridge_budget_unpriced_ratio{{{JOB}}})", "{{budget}}")],
                     size=(8, 8), unit="percentunit"),
    prometheus_panel("Tokens without a price", "timeseries", [(f"max by (model) (bridge_unpriced_tokens{{{JOB}}})", "{{model}}")], size=(8, 8),
                     note="Over the last 7 days, by model."),
    prometheus_panel("Tokens stored", "timeseries", [(rate("bridge_tokens_stored_total"), "tokens per second")], size=(12, 8)),
    prometheus_panel("Freshness by instance", "timeseries", [(f"bridge_data_freshness_seconds{{{JOB}}}", "{{instance}}")], size=(6, 8), unit="s"),
    prometheus_panel("Time since hosts were last seen", "timeseries", [(f"max by (host) (bridge_host_silent_seconds{{{JOB}}})", "{{host}}")], size=(6, 8), unit="s",
                     note="Time since each host of the store was last seen."),
    prometheus_panel("Operations by outcome", "timeseries", [(rate("bridge_operations_total", "outcome"), "{{outcome}}")], size=(8, 8), unit="ops", stacked=True),
    prometheus_panel("Operation duration, 99th percentile", "timeseries", [(quantile("bridge_operation_duration_seconds", "operation"), "{{operation}}")], size=(8, 8), unit="s"),
    prometheus_panel("Errors by kind", "timeseries", [(rate("bridge_errors_total", "kind"), "{{kind}}")], size=(8, 8), unit="ops", stacked=True),
    prometheus_panel("Write duration", "timeseries",
                     [(quantile("bridge_storage_operation_duration_seconds", "call", 0.5), "{{call}}, median"),
                      (quantile("bridge_storage_operation_duration_seconds", "call"), "{{call}}, 99th percentile")], size=(8, 8), unit="s"),
    prometheus_panel("Rows written", "timeseries", [(rate("bridge_rows_written_total", "change"), "{{change}}")], size=(8, 8), stacked=True),
    prometheus_panel("Retries", "timeseries", [(rate("bridge_store_retries_total"), "retries per second")], size=(8, 8)),
    prometheus_panel("HTTP requests", "timeseries", [(rate("bridge_http_requests_total", "route, status"), "{{route}} {{status}}")], size=(12, 8), unit="reqps", stacked=True),
    prometheus_panel("HTTP request duration, 99th percentile", "timeseries", [(quantile("bridge_http_request_duration_seconds", "route"), "{{route}}")], size=(12, 8), unit="s"),
    prometheus_panel("Connections", "timeseries",
                     [(f"sum by (state) (bridge_pool_connections{{{JOB}}})", "{{state}}"), (f"sum(bridge_pool_waiting_calls{{{JOB}}})", "waiting calls")], size=(8, 8)),
    prometheus_panel("Cache hits", "timeseries",
                     [(f'sum by (cache) (rate(bridge_cache_requests_total{{{JOB},answer="hit"}}[$__rate_interval])) / sum by (cache) (rate(bridge_cache_requests_total{{{JOB}}}[$__rate_interval]))', "{{cache}}")],
                     size=(8, 8), unit="percentunit"),
    prometheus_panel("Damaged lines", "timeseries", [(rate("bridge_damaged_lines_total", "kind"), "{{kind}}")], size=(8, 8)),
    prometheus_panel("Audit records waiting", "timeseries", [(f"sum(bridge_audit_buffered_records{{{JOB}}})", "records")], size=(8, 7)),
    prometheus_panel("Audit spool", "timeseries", [(f"sum(bridge_audit_spool_bytes{{{JOB}}})", "bytes")], size=(8, 7), unit="bytes"),
    prometheus_panel("Bytes read", "timeseries", [(rate("bridge_read_bytes_total"), "bytes per second")], size=(8, 7), unit="Bps"),
]


def placed(panels):
    """Places the panels in rows, from left to right, and numbers them."""
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        width, panel_height = panel.pop("size")
        if x + width > WIDTH:
            x, y, height = 0, y + height, 0
        panel["id"] = number
        panel["gridPos"] = {"x": x, "y": y, "w": width, "h": panel_height}
        x, height = x + width, max(height, panel_height)
    return panels


def variable(name, column):
    # The data source takes the first column for the value, and the second for the text that is shown.
    sql = (
        f"SELECT DISTINCT replaceAll(toString({column}), '\\\\', '\\\\\\\\') AS value, toString({column}) AS text "
        "FROM ${prefix:raw}counted_responses WHERE text != '' ORDER BY text LIMIT 10000"
    )
    return {
        "name": name, "label": name.capitalize(), "type": "query", "datasource": CLICKHOUSE, "query": sql, "definition": sql,
        "multi": True, "includeAll": True, "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "refresh": 2, "sort": 0,
    }


def source_variable(kind):
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": kind, "current": {}, "refresh": 1}


def dashboard(uid, title, note, tags, variables, panels, span):
    return {
        "uid": uid, "title": title, "description": note, "tags": tags, "schemaVersion": 39, "version": 1, "editable": True,
        "graphTooltip": 1, "refresh": "1m", "time": {"from": span, "to": "now"}, "timezone": "browser", "weekStart": "",
        "templating": {"list": variables}, "annotations": {"list": []}, "links": [], "panels": placed(panels),
    }


def dashboards():
    prefix = {
        "name": "prefix", "label": "Table prefix", "type": "textbox", "query": "", "hide": 0,
        "current": {"selected": True, "text": "", "value": ""}, "description": "clickhouse.table_prefix in the configuration",
    }
    job = {
        "name": "job", "label": "Job", "type": "query", "datasource": PROMETHEUS, "definition": "label_values(bridge_health_state, job)",
        "query": {"query": "label_values(bridge_health_state, job)", "refId": "A"}, "multi": True, "includeAll": True, "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "refresh": 2, "sort": 1,
    }
    filters = [variable("host", "host"), variable("project", "project"), variable("model", "canonical_model"), variable("developer", "developer")]
    return {
        "tokens.json": dashboard(
            "token-bridge", "Token Bridge", "Tokens and cost of AI coding sessions, from the tables of the Enhanced Token Bridge.",
            ["tokens", "clickhouse"], [source_variable("grafana-clickhouse-datasource"), prefix, *filters], TOKEN_PANELS, "now-30d"),
        "service.json": dashboard(
            "token-bridge-service", "Token Bridge service", "The metrics of services that embed the Enhanced Token Bridge.",
            ["tokens", "prometheus"], [source_variable("prometheus"), job], SERVICE_PANELS, "now-6h"),
    }


def rules():
    """Returns a rule for each expression, with Grafana's variables replaced. JSON is YAML."""
    expressions = [target["expr"] for panel in SERVICE_PANELS for target in panel["targets"]]
    expressions = [expr.replace("$__rate_interval", "5m").replace("$job", ".*") for expr in expressions]
    named = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    return {"groups": [{"name": "panels", "rules": named}]}


def main(arguments):
    if arguments == ["--rules"]:
        print(json.dumps(rules(), indent=2))
        return 0
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for name, content in dashboards().items():
        path = FOLDER / name
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if arguments:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{', '.join(stale)}: not what tools/grafana/build.py writes", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
