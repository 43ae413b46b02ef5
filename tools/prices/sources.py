"""The three public data sets, read as data from their wheels: nothing of them is imported or run."""

import ast
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent
PINS = re.findall(r"^([a-z-]+)==(\S+) --hash=sha256:(\w+)", (HERE / "requirements.txt").read_text(), re.M)
KINDS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
STANDARD = ("standard", "standard")
LICENSES = {"genai-prices": "MIT", "model-prices": "MIT", "litellm": "MIT"}


def wheels(folder: Path) -> dict[str, zipfile.ZipFile]:
    """Returns the wheels by name, downloaded if the folder lacks them, each with the pinned hash."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, version, digest in PINS:
        pattern = f"{name.replace('-', '_')}-{version}-*.whl"
        if not list(folder.glob(pattern)):
            download(folder, f"{name}=={version}")
        path = next(folder.glob(pattern))
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            sys.exit(f"{path.name} does not have the pinned hash")
        found[name] = zipfile.ZipFile(path)
    return found


def download(folder: Path, requirement: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    platform = ["--platform=manylinux_2_28_x86_64", "--python-version=3.12", "--implementation=cp", "--abi=abi3"]
    subprocess.run([*command, *platform, "--dest", str(folder), requirement], check=True)


def only_file(wheel: zipfile.ZipFile, ending: str) -> str:
    name = next(name for name in wheel.namelist() if name.endswith(ending))
    return wheel.read(name).decode()


def money(value) -> Decimal:
    """Returns dollars exactly as written; a float has the digits that it is printed with."""
    return Decimal(str(value)).normalize()


class ModelPrices:
    """`model-prices`: dated prices by mode, from the history of models.dev."""

    def __init__(self, wheel: zipfile.ZipFile):
        data = json.loads(only_file(wheel, "snapshot.json"))
        self.prices, self.taken = data["prices"], data["updated_at"][:10]

    def models(self, provider: str) -> dict:
        return self.prices[provider]

    @staticmethod
    def rates(provider: str, rates: dict) -> dict[int, dict[str, Decimal]]:
        """Returns the prices by the input tokens above which they apply."""
        tiers = {0: rates, **{tier["above"]: {**rates, **tier} for tier in rates.get("tiers", [])}}
        return {above: ModelPrices.tier(provider, tier) for above, tier in tiers.items()}

    @staticmethod
    def tier(provider: str, tier: dict) -> dict[str, Decimal]:
        names = {"input": "input", "output": "output", "cache_read": "cache_read", "cache_write": "cache_write_5m"}
        prices = {kind: money(tier[name]) for name, kind in names.items() if name in tier}
        if provider == "anthropic" and "cache_write_5m" in prices:
            prices["cache_write_1h"] = prices["input"] * money(tier["cache_write_1h_multiple"])
        return prices


class GenaiPrices:
    """`genai-prices`: today's prices with variants, some with a start date."""

    def __init__(self, wheel: zipfile.ZipFile):
        module = ast.parse(only_file(wheel, "data.py"))
        value = next(node.value for node in module.body if isinstance(node, ast.AnnAssign))
        self.providers = {provider["id"]: provider["models"] for provider in literal(value)}

    def find(self, provider: str, name: str) -> dict | None:
        return next((model for model in self.providers[provider] if matches(model["match"], name)), None)

    @staticmethod
    def dated(model: dict) -> list[tuple[str | None, dict]]:
        """Returns the standard prices by the date from which they apply, oldest first."""
        prices = model["prices"] if isinstance(model["prices"], list) else [{"prices": model["prices"]}]
        found = [(date_of(price.get("constraint")), price["prices"]) for price in prices]
        return sorted(found, key=lambda item: item[0] or "")

    @staticmethod
    def variants(model: dict, day: str) -> dict[tuple[str, str], dict]:
        """Returns the prices of the other modes that apply on that day."""
        found = {}
        for variant in sorted(model.get("price_variants") or [], key=lambda v: date_of(v.get("constraint")) or ""):
            mode = mode_of(variant["when"])
            if mode not in (None, STANDARD) and (date_of(variant.get("constraint")) or "") <= day:
                found[mode] = variant["prices"]
        return found

    @staticmethod
    def rates(provider: str, prices: dict, standard: dict | None = None) -> dict[int, dict[str, Decimal]]:
        """Returns the prices by the input tokens above which they apply; what a variant lacks is the standard price."""
        names = {"input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read"}
        names |= {"cache_write_mtok": "cache_write_5m"}
        if provider == "anthropic":
            names["cache_write_1h_mtok"] = "cache_write_1h"
        prices = {**(standard or {}), **{name: price for name, price in prices.items() if price is not None}}
        tiered = [price for name, price in prices.items() if name in names and isinstance(price, dict)]
        found = {}
        for above in sorted({0, *(tier["start"] for price in tiered for tier in price["tiers"])}):
            found[above] = {kind: at_size(prices[name], above) for name, kind in names.items() if name in prices}
        return found


class Litellm:
    """The price file of `litellm`: today's prices."""

    MODES = {STANDARD: "", ("standard", "batch"): "_batches", ("standard", "priority"): "_priority"}
    MODES |= {("standard", "flex"): "_flex"}
    NAMES = {"input": "input_cost_per_token", "output": "output_cost_per_token"}
    NAMES |= {"cache_read": "cache_read_input_token_cost", "cache_write_5m": "cache_creation_input_token_cost"}

    def __init__(self, wheel: zipfile.ZipFile):
        self.models = json.loads(only_file(wheel, "model_prices_and_context_window_backup.json"), parse_float=Decimal)

    def find(self, provider: str, name: str) -> dict | None:
        prefix = {"google": "gemini/"}.get(provider, "")
        return self.models.get(prefix + name)

    @classmethod
    def base(cls, model: dict, mode: tuple[str, str]) -> dict[str, Decimal]:
        """Returns the prices below the first size tier, per million tokens."""
        if mode not in cls.MODES:
            return {}
        fields = {kind: name + cls.MODES[mode] for kind, name in cls.NAMES.items()}
        if mode == STANDARD:
            fields["cache_write_1h"] = "cache_creation_input_token_cost_above_1hr"
        found = {kind: model[field] for kind, field in fields.items() if model.get(field) is not None}
        return {kind: (Decimal(price) * 1_000_000).normalize() for kind, price in found.items()}


def at_size(price, above: int) -> Decimal:
    if not isinstance(price, dict):
        return money(price)
    reached = [tier["price"] for tier in price["tiers"] if tier["start"] <= above]
    return money(reached[-1] if reached else price["base"])


def mode_of(when: dict) -> tuple[str, str] | None:
    """Returns speed and processing of a variant. OpenAI's tier `fast` is a second name of its tier `priority`."""
    names = {"default": "standard", "standard": "standard", "batch": "batch", "flex": "flex", "priority": "priority"}
    if when == {"speed": "fast"}:
        return ("fast", "standard")
    value = when.get("processing") or when.get("service_tier")
    return ("standard", names[value]) if len(when) == 1 and value in names else None


def date_of(constraint) -> str | None:
    return constraint["start_date"] if constraint else None


def matches(clause: dict, name: str) -> bool:
    """Returns whether a rule of `genai-prices` covers this name."""
    rules = {
        "ClauseEquals": lambda: name == clause["equals"],
        "ClauseStartsWith": lambda: name.startswith(clause["starts_with"]),
        "ClauseEndsWith": lambda: name.endswith(clause["ends_with"]),
        "ClauseContains": lambda: clause["contains"] in name,
        "ClauseRegex": lambda: re.search(clause["regex"], name) is not None,
        "ClauseOr": lambda: any(matches(part, name) for part in clause["or_"]),
        "ClauseAnd": lambda: all(matches(part, name) for part in clause["and_"]),
    }
    return rules[clause["type"]]()


def literal(node):
    """Returns the value of an expression of constructor calls, without running any."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [literal(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {literal(key): literal(value) for key, value in zip(keys, values)}
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=value)]):
            return value
        case ast.Call(func=function, args=args, keywords=keywords):
            name = function.id if isinstance(function, ast.Name) else function.attr
            if name == "date":
                return "{:04}-{:02}-{:02}".format(*map(literal, args))
            return {"type": name, **{keyword.arg: literal(keyword.value) for keyword in keywords}}
        case ast.Attribute(attr=name):
            return name
    raise ValueError(f"an expression that no rule reads: {ast.dump(node)[:200]}")
