//! Prefixes and suffixes that services add to the names of models.
//!
//! Migration 14 has the same rules as regular expressions. A test of the storage crate compares the two.

use std::ops::Range;

use super::{ModelProvider, ModelRoute};

/// The form of a name in lower case.
#[derive(Debug)]
pub(super) struct Form<'a> {
    /// The service by the form of the name.
    pub(super) route: ModelRoute,
    /// The maker, if the service states it.
    pub(super) vendor: Option<&'a str>,
    /// The place of the name itself, without what a service writes around it.
    pub(super) base: Range<usize>,
    /// The date behind an `@`.
    pub(super) date: Option<&'a str>,
}

impl<'a> Form<'a> {
    pub(super) fn parse(lower: &'a str) -> Self {
        let (prefixed, rest) = without_prefix(lower);
        let (pathed, rest) = without_path(rest);
        let (vendored, vendor, rest) = without_vendor(rest);
        let start = lower.len() - rest.len();
        let rest = without_context(rest);
        let rest = without_variant(rest);
        let (rest, alias) = without_revision(rest);
        let dated = alias.map(|_| ModelRoute::Vertex);
        let route = prefixed.or(pathed).or(vendored).or(dated).unwrap_or(ModelRoute::Unknown);
        let date = alias.filter(|alias| is_digits(alias, 8));
        Self { route, vendor, base: start..start + rest.len(), date }
    }
}

/// Takes off a gateway's word for the service.
fn without_prefix(text: &str) -> (Option<ModelRoute>, &str) {
    let routes = [
        ("openrouter/", ModelRoute::OpenRouter),
        ("bedrock/", ModelRoute::Bedrock),
        ("vertex_ai/", ModelRoute::Vertex),
        ("azure_ai/", ModelRoute::Foundry),
        ("azure/", ModelRoute::Foundry),
    ];
    let found = routes.into_iter().find_map(|(prefix, route)| Some((route, text.strip_prefix(prefix)?)));
    match found {
        None => (None, text),
        Some((ModelRoute::Bedrock, rest)) => {
            let api = ["converse/", "invoke/"].into_iter().find_map(|api| rest.strip_prefix(api));
            (Some(ModelRoute::Bedrock), api.unwrap_or(rest))
        }
        Some((route, rest)) => (Some(route), rest),
    }
}

/// Takes off the part of an ARN or of a path of Vertex that does not name the model.
fn without_path(text: &str) -> (Option<ModelRoute>, &str) {
    if let Some(fields) = text.strip_prefix("arn:") {
        let Some(resource) = fields.splitn(5, ':').nth(4) else { return (None, text) };
        let kinds = ["foundation-model/", "inference-profile/"];
        let model = kinds.into_iter().find_map(|kind| resource.strip_prefix(kind));
        return (Some(ModelRoute::Bedrock), model.unwrap_or(resource));
    }
    let located = named_folder(text, "projects/").and_then(|rest| named_folder(rest, "locations/"));
    let published = |rest| named_folder(rest, "publishers/")?.strip_prefix("models/");
    match published(located.unwrap_or(text)) {
        Some(model) => (Some(ModelRoute::Vertex), model),
        None => (None, text),
    }
}

/// Takes off a folder and the one below it, which may have any name.
fn named_folder<'a>(text: &'a str, folder: &str) -> Option<&'a str> {
    Some(text.strip_prefix(folder)?.split_once('/')?.1)
}

/// Takes off `REGION.VENDOR.`, `VENDOR.` or `VENDOR/`, if anything follows.
fn without_vendor(text: &str) -> (Option<ModelRoute>, Option<&str>, &str) {
    let in_region = || {
        let (region, rest) = text.split_once('.')?;
        let is_region = !region.is_empty() && region.bytes().all(|b| b == b'-' || b.is_ascii_lowercase());
        vendor(rest).filter(|_| is_region)
    };
    match vendor(text).or_else(in_region) {
        Some((route, vendor, rest)) => (Some(route), Some(vendor), rest),
        None => (None, None, text),
    }
}

fn vendor(text: &str) -> Option<(ModelRoute, &str, &str)> {
    let end = text.find(['.', '/'])?;
    let (vendor, rest) = (&text[..end], &text[end + 1..]);
    let route = if text.as_bytes()[end] == b'.' { ModelRoute::Bedrock } else { ModelRoute::OpenRouter };
    (ModelProvider::is_vendor(vendor) && !rest.is_empty()).then_some((route, vendor, rest))
}

/// Takes off the width of the context: `[1m]`.
fn without_context(text: &str) -> &str {
    let base = || {
        let (base, width) = text.strip_suffix(']')?.rsplit_once('[')?;
        let digits = width.strip_suffix(['k', 'm'])?;
        is_number(digits).then_some(base)
    };
    nonempty(base()).unwrap_or(text)
}

/// Takes off the variant that a gateway offers: `:free`.
fn without_variant(text: &str) -> &str {
    let variants = ["free", "thinking", "beta", "nitro", "floor", "online", "extended", "exacto"];
    let base = text.rsplit_once(':').filter(|(_, variant)| variants.contains(variant)).map(|(base, _)| base);
    nonempty(base).unwrap_or(text)
}

/// Takes off Bedrock's version of a model's offer, `-v1:0` or `-v1:0:200k`; or else the date, or the alias for one,
/// that Vertex writes behind an `@`, which is returned too.
fn without_revision(text: &str) -> (&str, Option<&str>) {
    let sized = || {
        let (rest, size) = text.rsplit_once(':')?;
        let is_size = !size.is_empty() && size.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        without_offer_number(rest).filter(|_| is_size)
    };
    if let Some(base) = nonempty(sized().or_else(|| without_offer_number(text))) {
        return (base, None);
    }
    let is_date = |date: &str| is_digits(date, 8) || matches!(date, "default" | "latest");
    match text.rsplit_once('@').filter(|(base, date)| !base.is_empty() && is_date(date)) {
        Some((base, date)) => (base, Some(date)),
        None => (text, None),
    }
}

/// Takes off `-v1:0` or `-1:0`.
fn without_offer_number(text: &str) -> Option<&str> {
    let (rest, minor) = text.rsplit_once(':')?;
    let (base, major) = rest.rsplit_once('-')?;
    (is_number(minor) && is_number(major.strip_prefix('v').unwrap_or(major))).then_some(base)
}

/// Returns the name without the date of its snapshot, and that date. A Claude's name has its version behind its family,
/// one separator, and no alias.
pub(super) fn undated(base: &str) -> (String, Option<&str>) {
    let (name, date) = split_date(base);
    let Some(model) = name.strip_prefix("claude-") else { return (name.to_owned(), date) };
    let offered = without_offer(model);
    let (model, date) = match split_short_date(offered) {
        (model, Some(earlier)) => (model, date.or(Some(earlier))),
        (_, None) => (nonempty(offered.strip_suffix("-latest")).unwrap_or(offered), date),
    };
    let model = model.replacen('.', "-", VERSION_DOTS_MAX);
    (format!("claude-{}", family_first(&model).unwrap_or(model)), date)
}

/// More than any version has; the same in the database.
const VERSION_DOTS_MAX: usize = 2;

/// Splits off `-20250514` or `-2024-08-06`.
fn split_date(name: &str) -> (&str, Option<&str>) {
    const DASHED: usize = "2024-08-06".len();
    let dashed = || {
        let (base, date) = name.split_at_checked(name.len().checked_sub(DASHED)?)?;
        let parts: Vec<_> = date.split('-').collect();
        let is_date = matches!(parts[..], [y, m, d] if is_digits(y, 4) && is_digits(m, 2) && is_digits(d, 2));
        Some((nonempty(base.strip_suffix('-'))?, is_date.then_some(date)?))
    };
    match (split_short_date(name), dashed()) {
        ((_, None), Some((base, date))) => (base, Some(date)),
        (short, _) => short,
    }
}

fn split_short_date(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('-').filter(|(base, date)| !base.is_empty() && is_digits(date, 8)) {
        Some((base, date)) => (base, Some(date)),
        None => (name, None),
    }
}

/// Takes off the version of a service's offer: `-v2`.
fn without_offer(model: &str) -> &str {
    let base = model.rsplit_once("-v").filter(|(_, version)| is_number(version)).map(|(base, _)| base);
    nonempty(base).unwrap_or(model)
}

/// `4-5-sonnet` is `sonnet-4-5`. Up to version 3 the version came first.
fn family_first(model: &str) -> Option<String> {
    let (major, rest) =
        model.split_once('-').filter(|(major, _)| matches!(major.as_bytes(), [b'4'..=b'9']))?;
    let minor = rest.split_once('-').filter(|(minor, _)| is_digits(minor, 1) || is_digits(minor, 2));
    let (version, rest) = match minor {
        Some((minor, rest)) => (format!("{major}-{minor}"), rest),
        None => (major.to_owned(), rest),
    };
    let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
    let (family, rest) = rest.split_at(letters);
    let is_family = !family.is_empty() && (rest.is_empty() || rest.starts_with('-'));
    is_family.then(|| format!("{family}-{version}{rest}"))
}

/// An affix is one only if something is left.
fn nonempty(base: Option<&str>) -> Option<&str> {
    base.filter(|base| !base.is_empty())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && is_number(text)
}
