#!/usr/bin/env python3
"""Makes the catalog of `bridge-pricing` from public data sets, and prints where they differ and which rule decides.

    tools/prices/build.py            writes crates/bridge-pricing/data/catalog.jsonl
    tools/prices/build.py --check    compares it with the file instead; exit code 1 if they differ
"""

import argparse
import json
import re
import sys
import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from sources import KINDS, LICENSES, PINS, STANDARD, GenaiPrices, Litellm, ModelPrices, date_of, mode_of, wheels
from timeline import Period, at, cleaned, history, merged, moved, replaced_from, show

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OUTPUT = ROOT / "crates/bridge-pricing/data/catalog.jsonl"
RULES = tomllib.loads((HERE / "rules.toml").read_text())
TODAY = RULES["day"] + "T00:00:00Z"
MODES = {"standard": STANDARD, "batch": ("standard", "batch"), "flex": ("standard", "flex")}
FAST = {"anthropic": ("fast", "standard"), "openai": ("standard", "priority")}


class Build:
    """The catalog under construction, and the notes on what was decided."""

    def __init__(self, found):
        self.dated = ModelPrices(found["model-prices"])
        self.today = GenaiPrices(found["genai-prices"])
        self.third = Litellm(found["litellm"])
        self.notes, self.unresolved, self.used = [], [], set()

    def note(self, name, text):
        self.notes.append(f"{name}: {text}")

    def entries(self) -> list[dict]:
        found = []
        for provider in RULES["providers"]:
            families = self.families(provider)
            for name in sorted(families):
                found += self.model(provider, name, families[name])
        for place in range(len(RULES["correction"])):
            if place not in self.used:
                self.unresolved.append(f"correction {place + 1} ({RULES['correction'][place]['models']}) changes nothing")
        return found

    def families(self, provider) -> dict[str, dict[str, dict]]:
        """Returns the histories of each model's names by its canonical name."""
        skip = re.compile(RULES["not_text"])
        families = {}
        for name, modes in self.dated.models(provider).items():
            if skip.search(name):
                continue
            timelines = self.timelines(provider, name, modes)
            if timelines[STANDARD]:
                families.setdefault(self.canonical(name), {})[name] = timelines
        for model in self.today.providers[provider]:
            name = model["id"]
            if RULES["only_genai_prices"].get(name, {}).get("provider") == provider:
                families[name] = {name: self.undated(provider, name, model)}
        return families

    @staticmethod
    def canonical(name):
        return RULES["canonical"].get(name) or re.sub(r"^(claude-.*)-20\d{6}$", r"\1", name)

    def timelines(self, provider, name, modes):
        modes = {self.mode(provider, mode): elements for mode, elements in modes.items()}
        read = lambda rates: self.dated.rates(provider, rates)
        note = lambda text: self.note(name, text)
        timelines = {mode: cleaned(history(elements, read), note) for mode, elements in modes.items() if mode}
        current = self.today.find(provider, name)
        if current:
            self.dates_of_genai_prices(provider, name, timelines, current)
            self.variants(provider, name, timelines, current)
        self.corrections(name, timelines)
        self.compare(provider, name, timelines, current)
        return timelines

    @staticmethod
    def mode(provider, mode):
        return FAST.get(provider) if mode == "fast" else MODES.get(mode)

    def undated(self, provider, name, model):
        """Returns the history of a model that only `genai-prices` has."""
        rule = RULES["only_genai_prices"][name]
        rates = self.today.rates(provider, model["prices"])
        timelines = {STANDARD: [Period(rule["from"] + "T00:00:00Z", None, rates, rule["source"], RULES["day"])]}
        for mode, prices in self.today.variants(model, RULES["day"]).items():
            rates = self.today.rates(provider, prices, model["prices"])
            timelines[mode] = [replace(timelines[STANDARD][0], rates=rates)]
        self.note(name, f"only genai-prices has it, from {rule['from']}: {rule['reason']}")
        self.compare(provider, name, timelines, None)
        return timelines

    def dates_of_genai_prices(self, provider, name, timelines, current):
        """A change that both know begins on the day that genai-prices states; one that only it knows is added."""
        standard = timelines[STANDARD]
        for day, prices in GenaiPrices.dated(current):
            if day is None:
                continue
            instant, rates = day + "T00:00:00Z", self.today.rates(provider, prices)
            near = [p.start for p in standard if p.start and abs(days(p.start) - days(day)) <= 7 and p.rates == rates]
            if near and near[0] != instant:
                self.note(name, f"the change of {near[0]} begins on {day}, as genai-prices states")
                for mode in timelines:
                    timelines[mode] = moved(timelines[mode], near[0], instant)
            elif not near and standard[0].start is None and standard[0].rates == rates and day <= standard[0].dated:
                self.note(name, f"the first record is the price since {day}; before it, as genai-prices states")
                older = self.today.rates(provider, GenaiPrices.dated(current)[0][1])
                first = Period(None, instant, older, RULES["pages"][provider], day)
                timelines[STANDARD] = merged([first, replace(standard[0], start=instant), *standard[1:]])
                for mode in timelines.keys() - {STANDARD}:
                    timelines[mode] = [replace(p, start=max(p.start or instant, instant)) for p in timelines[mode]]
            elif not near and day > RULES["day"]:
                self.note(name, f"announced for {day}, only in genai-prices: {show(rates)}")
                source = RULES["pages"][provider]
                timelines[STANDARD] = replaced_from(standard, Period(instant, None, rates, source, RULES["day"]))
                for mode in timelines.keys() - {STANDARD}:
                    timelines[mode] = [replace(p, end=min(p.end or instant, instant)) for p in timelines[mode]]
                for mode, later in self.today.variants(current, day).items():
                    changed = self.today.rates(provider, later, prices)
                    if changed != self.today.rates(provider, self.today.variants(current, RULES["day"]).get(mode, {}), prices):
                        new = Period(instant, None, changed, source, RULES["day"])
                        timelines[mode] = replaced_from(timelines.get(mode, []), new)

    def variants(self, provider, name, timelines, current):
        """Prices of batch, flex, priority and fast: genai-prices has them from the provider's page, model-prices in part
        derives them. Where the standard prices are today's, genai-prices decides."""
        now = at(timelines[STANDARD], TODAY)
        prices = next(p for day, p in reversed(GenaiPrices.dated(current)) if (day or "") <= RULES["day"])
        if not now or now.rates != self.today.rates(provider, prices):
            return
        for mode, variant in self.today.variants(current, RULES["day"]).items():
            rates = self.today.rates(provider, variant, prices)
            periods = timelines.get(mode, [])
            if not periods:
                start = next(self.variant_dates(current, mode), None)
                if start:
                    source = RULES["pages"][provider]
                    timelines[mode] = [Period(start + "T00:00:00Z", now.end, rates, source, start)]
                continue
            for place, period in enumerate(periods):
                base = at(timelines[STANDARD], period.start or period.dated)
                same = base is not None and base.rates == now.rates
                if same and period.rates != rates and (period.end is None or period.end > TODAY):
                    self.note(name, f"{'/'.join(mode)}: genai-prices decides: {show(period.rates)} -> {show(rates)}")
                    periods[place] = replace(period, rates=rates, source=RULES["pages"][provider])
            timelines[mode] = merged(periods)

    @staticmethod
    def variant_dates(current, mode):
        for variant in current.get("price_variants") or []:
            if mode_of(variant["when"]) == mode and date_of(variant.get("constraint")):
                yield date_of(variant["constraint"])

    def corrections(self, name, timelines):
        for place, rule in enumerate(RULES["correction"]):
            if name not in rule["models"]:
                continue
            mode = (rule.get("speed", "standard"), rule.get("processing", "standard"))
            before = list(timelines.get(mode, []))
            timelines[mode] = corrected(before, rule)
            if timelines[mode] != before:
                self.used.add(place)
                self.note(name, f"{'/'.join(mode)}: corrected by hand: {rule['reason']} ({rule['source']})")

    def compare(self, provider, name, timelines, current):
        """Compares today's prices of all sets; a difference that no rule decides is unresolved."""
        other = self.third.find(provider, name)
        for mode, periods in sorted(timelines.items()):
            now = at(periods, TODAY)
            if not now:
                continue
            seen = {}
            if current:
                prices = next(p for day, p in reversed(GenaiPrices.dated(current)) if (day or "") <= RULES["day"])
                variant = {} if mode == STANDARD else self.today.variants(current, RULES["day"]).get(mode)
                if variant is not None:
                    seen["genai-prices"] = self.today.rates(provider, variant, prices)
                    if seen["genai-prices"] != now.rates:
                        self.differ(name, mode, "genai-prices", now.rates, seen["genai-prices"])
            if other:
                base = Litellm.base(other, mode)
                common = {kind: now.rates[0].get(kind) for kind in base}
                if base and base != common:
                    self.differ(name, mode, "litellm", {0: common}, {0: base}, decided=now.rates == seen.get("genai-prices"))

    def differ(self, name, mode, set_name, ours, theirs, decided=False):
        key = f"{name} {'/'.join(mode)} {set_name}"
        text = f"{'/'.join(mode)}: {set_name} differs: {show(drop_none(ours))} | {show(theirs)}"
        rule = next((rule for rule in RULES["difference"] if re.fullmatch(rule["where"], key)), None)
        if rule:
            self.note(name, f"{text}: kept: {rule['reason']}")
        elif decided:
            self.note(name, f"{text}: kept: the two others agree")
        else:
            self.unresolved.append(f"{key}: {text}")

    def model(self, provider, canonical, names):
        """Returns the entries of a model: its names share entries where their prices are equal."""
        main = canonical if canonical in names else sorted(names)[-1]
        dated = self.dated_names(provider, canonical, names)
        entries = self.periods_of(provider, canonical, names[main], self.released(canonical, [*names, *dated], names))
        aliases = [name for name in names if name != canonical] + dated
        for name in sorted(names.keys() - {main}):
            own = self.periods_of(provider, canonical, names[name], self.released(canonical, [name], names))
            if not agrees(own, entries):
                self.unresolved.append(f"{name}: its prices differ from those of {main}")
        return [{**entry, "aliases": sorted(set(aliases))} if aliases else entry for entry in entries]

    def dated_names(self, provider, canonical, names):
        """Returns the dated names that only litellm has, if it gives them the model's price."""
        own = self.third.find(provider, canonical)
        found = []
        for key, model in self.third.models.items():
            name = key.removeprefix("gemini/")
            if own and re.fullmatch(re.escape(canonical) + r"-20\d\d-?\d\d-?\d\d", name) and name not in names:
                if name in self.dated.models(provider) or Litellm.base(model, STANDARD) != Litellm.base(own, STANDARD):
                    self.note(name, f"not a name of {canonical}: litellm has another price")
                elif name not in found:
                    found.append(name)
        return found

    def released(self, canonical, names, histories):
        """Returns the first day of a model: as stated, as its name says, or that of the first record."""
        if canonical in RULES["released"]:
            return str(RULES["released"][canonical])
        dates = [re.search(r"-(20\d\d)-?(\d\d)-?(\d\d)$", name) for name in names]
        stated = ["-".join(date.groups()) for date in dates if date]
        recorded = [t[STANDARD][0].start or t[STANDARD][0].dated for t in histories.values()]
        return min([*stated, *recorded])[:10]

    def periods_of(self, provider, name, timelines, released):
        cuts = {released + "T00:00:00Z"}
        cuts |= {cut for periods in timelines.values() for p in periods for cut in (p.start, p.end) if cut}
        current = self.today.find(provider, name)
        cuts |= {day + "T00:00:00Z" for day, _ in GenaiPrices.dated(current) if day} if current else set()
        cuts = sorted(cut for cut in cuts if cut >= released)
        found = []
        for start, end in zip(cuts, [*cuts[1:], None]):
            standard = at(timelines[STANDARD], start)
            if not standard:
                continue
            modes = {mode: period.rates for mode, periods in timelines.items() if (period := at(periods, start))}
            for mode, rates in modes.items():
                if len(rates) < len(standard.rates):
                    self.note(name, f"{'/'.join(mode)} from {start}: no price above the size limit, which no set states")
                    modes[mode] = {**{above: {} for above in standard.rates}, **rates}
            entry = self.entry(provider, name, start, end, modes, standard)
            if provider == "anthropic" and released >= RULES["geography"]["since"]:
                entry["geographies"] = {"us": RULES["geography"]["us"]}
            found.append(entry)
        return joined(found)

    def entry(self, provider, name, start, end, modes, standard):
        entry = {"provider": provider, "model": name, "from": day_or_instant(start)}
        if end:
            entry["to"] = day_or_instant(end)
        search = self.web_search(provider, name, start)
        if search:
            entry["web_search"] = f"{search:f}"
        entry["rates"] = [
            row(mode, above, rates[above]) for mode, rates in sorted(modes.items(), key=order) for above in sorted(rates)
        ]
        return {**entry, "source": standard.source, "dated": standard.dated}

    def web_search(self, provider, name, instant):
        """Returns the price of 1,000 web searches, which only genai-prices has."""
        current = self.today.find(provider, name)
        dated = [prices for day, prices in GenaiPrices.dated(current) if (day or "") <= instant[:10]] if current else []
        price = dated[-1].get("web_searches_kcount") if dated else None
        return price and Decimal(price)


def corrected(periods, rule):
    """Returns the periods with a hand-written one in the place of what was there."""
    start, end = rule.get("from"), rule.get("to")
    start, end = start and instant_of(start), end and instant_of(end)
    rates = {int(above): {k: Decimal(v) for k, v in tier.items()} for above, tier in rule.get("rates", {}).items()}
    kept = []
    for p in periods:
        if start and (p.start or "") < start:
            kept.append(replace(p, end=min(p.end or start, start)))
        if end and (p.end is None or p.end > end):
            kept.append(replace(p, start=max(p.start or end, end)))
    new = [Period(start, end, rates, rule["source"], str(rule["dated"]))] if rates else []
    return merged(sorted([*kept, *new], key=lambda p: p.start or ""))


def instant_of(text):
    return text if "T" in text else text + "T00:00:00Z"


def agrees(own, entries):
    """Returns whether each price that an alias has is one of the model at that time."""
    return all(
        any(all(rate in e["rates"] for rate in o["rates"]) for e in entries if e["from"] < o.get("to", "9") and o["from"] < e.get("to", "9"))
        for o in own
    )


def joined(entries):
    """Returns the entries with neighbors that differ in period and source only as one."""
    found = []
    for entry in entries:
        last = found[-1] if found else None
        same = last and all(last.get(k) == entry.get(k) for k in ("rates", "web_search", "geographies"))
        if same and last.get("to") == entry["from"]:
            last.pop("to")
            if "to" in entry:
                last["to"] = entry["to"]
        else:
            found.append(dict(entry))
    order = ("provider", "model", "aliases", "from", "to", "web_search", "geographies", "rates", "source", "dated")
    return [{key: entry[key] for key in order if key in entry} for entry in found]


def order(item):
    (speed, processing), _ = item
    return (["standard", "fast"].index(speed), ["standard", "batch", "priority", "flex"].index(processing))


def row(mode, above, prices):
    speed, processing = mode
    found = {} if speed == "standard" else {"speed": speed}
    found |= {} if processing == "standard" else {"processing": processing}
    found |= {"above": above} if above else {}
    return found | {kind: f"{prices[kind].normalize():f}" for kind in KINDS if kind in prices}


def day_or_instant(instant):
    return instant.removesuffix("T00:00:00Z")


def drop_none(rates):
    return {above: {k: v for k, v in tier.items() if v is not None} for above, tier in rates.items()}


def days(text):
    return date.fromisoformat(text[:10]).toordinal()


def header():
    sources = [
        {"name": name, "version": version, "sha256": digest, "license": LICENSES[name]} for name, version, digest in PINS
    ]
    about = "Prices in dollars per million tokens. Made by tools/prices/build.py; do not edit."
    return {"format": 1, "currency": "USD", "about": about, "made": RULES["day"], "sources": sources}


ENTRY_ORDER = ("provider", "model", "aliases", "from", "to", "web_search", "geographies", "rates", "source", "dated")


def text_of(entries):
    ordered = [{key: entry[key] for key in ENTRY_ORDER if key in entry} for entry in entries]
    lines = [json.dumps(line, separators=(",", ":")) for line in [header(), *ordered]]
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--fetch", action="store_true", help="only fetch the data sets")
    arguments.add_argument("--quiet", action="store_true", help="print no notes on decided differences")
    arguments.add_argument("--wheels", type=Path, default=ROOT / "target/prices", help="where the wheels are kept")
    options = arguments.parse_args()
    found = wheels(options.wheels)
    if options.fetch:
        return 0
    build = Build(found)
    text = text_of(build.entries())
    if not options.quiet:
        print("\n".join(build.notes))
    if build.unresolved:
        print("\nno rule decides:", *build.unresolved, sep="\n")
        return 1
    if options.check:
        if OUTPUT.read_text() != text:
            print(f"{OUTPUT.relative_to(ROOT)} is not what the data sets and rules give")
            return 1
        return 0
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(text)
    print(f"{text.count(chr(10)) - 1} entries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
