#!/usr/bin/env python3
"""Lets a real Prometheus scrape a service once.

    scrape.py PROGRAM SOURCES

starts PROGRAM (token-bridge, the example `service`) with a token on the transcripts in SOURCES with an embedded ClickHouse, and
a Prometheus with the alert rules of dashboards/prometheus. Fails unless Prometheus scrapes the service with the token, its rules
evaluate, and every expression of the dashboard's panels is answered.
"""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 120


def main(program, sources):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "bridge_config.yaml").write_text(
            f"enhanced_token_bridge:\n  embedded:\n    data_dir: data\n  sources:\n    paths: [{json.dumps(str(Path(sources).resolve()))}]\n"
        )
        (folder / "token").write_text(secrets.token_hex())
        (folder / "service.toml").write_text('[listen]\naddress = "127.0.0.1:0"\ntoken_file = "token"\n')
        with Process([str(Path(program).resolve())], folder, "service") as service:
            address = service.wait_for(r"^http://(127\.0\.0\.1:\d+)")
            (folder / "prometheus.yml").write_text(
                json.dumps(
                    {
                        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                        "rule_files": [str(ROOT / "dashboards" / "prometheus" / "alerts.yml")],
                        "scrape_configs": [
                            {
                                "job_name": "token-bridge",
                                "authorization": {"credentials_file": "token"},
                                "static_configs": [{"targets": [address]}],
                            }
                        ],
                    }
                )
            )
            listen = f"127.0.0.1:{free_port()}"
            arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", f"--web.listen-address={listen}"]
            with Process(["prometheus", *arguments], folder, "prometheus") as prometheus:
                prometheus.wait_for("(ready to receive web requests)")
                check(listen)


def free_port():
    """Returns a port that nothing listens on: Prometheus does not say which one it was given."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def check(address):
    tokens = poll(address, 'bridge_tokens_stored_total{job="token-bridge"} > 0')
    poll(address, "bridge_health_state == 0")
    rules = ask(address, "/api/v1/rules")["groups"][0]["rules"]
    wrong = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule.get("lastError")]
    if wrong:
        raise SystemExit("\n".join(wrong))
    build = [sys.executable, str(ROOT / "tools" / "grafana" / "build.py"), "--rules"]
    panels = json.loads(subprocess.run(build, check=True, capture_output=True).stdout)["groups"][0]["rules"]
    for panel in panels:
        ask(address, "/api/v1/query", query=panel["expr"])
    print(f"Prometheus scraped {tokens} tokens; {len(rules)} alert rules and {len(panels)} panel expressions were evaluated")


def poll(address, query):
    """Returns the first value that is not empty."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        result = ask(address, "/api/v1/query", query=query)["result"]
        if result:
            return result[0]["value"][1]
        time.sleep(0.3)
    raise SystemExit(f"no answer to {query} within {DEADLINE_SECONDS} s")


def ask(address, path, **parameters):
    url = f"http://{address}{path}?{urllib.parse.urlencode(parameters)}"
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError as error:
            # Prometheus listens before it is ready.
            if time.monotonic() > deadline or getattr(error, "code", 503) != 503:
                raise SystemExit(f"{url}: {error}") from error
            time.sleep(0.3)


class Process:
    """A program that is ended with the block."""

    def __init__(self, command, folder, name):
        self.log = folder / f"{name}.log"
        environment = {**os.environ, "NO_COLOR": "1"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def wait_for(self, pattern):
        """Returns the first group of the pattern in the program's output."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(pattern, self.log.read_text(errors="replace"), re.MULTILINE)
            if found:
                return found.group(1)
            time.sleep(0.1)
        raise SystemExit(f"no {pattern} in:\n{self.log.read_text(errors='replace')[-3000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
