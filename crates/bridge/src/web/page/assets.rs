//! The files that pages load, compiled in.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_64;

/// A file that pages load.
#[derive(Debug)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// The URL names the version, so that a copy never becomes stale.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

macro_rules! assets {
    ($($name:ident = $file:literal as $media_type:literal;)+) => {
        impl Asset {
            $(pub(super) const $name: Self = Self {
                path: concat!("/assets/", $file),
                media_type: $media_type,
                text: include_str!(concat!("assets/", $file)),
            };)+

            pub(super) const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

assets! {
    STYLE = "page.css" as "text/css; charset=utf-8";
    SCRIPT = "page.js" as "text/javascript; charset=utf-8";
    CHART_STYLE = "uplot.css" as "text/css; charset=utf-8";
    CHART_SCRIPT = "uplot.js" as "text/javascript; charset=utf-8";
    ICON = "icon.svg" as "image/svg+xml";
}

impl Asset {
    /// Returns what changes whenever any of the files changes.
    pub(super) fn bundle_version() -> &'static str {
        static VERSION: LazyLock<String> = LazyLock::new(|| {
            let texts: Vec<_> = Asset::ALL.iter().map(|asset| asset.text).collect();
            format!("{:016x}", xxh3_64(texts.concat().as_bytes()))
        });
        &VERSION
    }

    pub(super) fn response(&self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static(self.media_type)), (CACHE_CONTROL, FOREVER)], self.text)
            .into_response()
    }
}
