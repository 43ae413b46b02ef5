//! All sessions, in pages.

use axum::response::Response;
use bridge_storage::Dimension;
use maud::html;

use super::breakdown::table;
use super::layout::Tab;
use super::request::PageRequest;

pub(super) async fn sessions(page: PageRequest) -> Response {
    let content = async {
        let query = page.frame.view.query(page.frame.now);
        let metrics = page.ask(query.list(Dimension::Session, page.frame.view.groups())).await?;
        Ok(html! {
            h1.visually-hidden { "Sessions" }
            (page.frame.controls())
            (table(&page.frame, &Dimension::Session, &metrics))
        })
    };
    page.respond(Tab::Sessions, "Sessions", content).await
}
