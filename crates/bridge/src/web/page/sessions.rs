//! All sessions, in pages.

use axum::response::Response;
use maud::html;

use super::breakdown::table;
use super::dimension::Dimension;
use super::layout::Tab;
use super::request::PageRequest;

pub(super) async fn sessions(page: PageRequest) -> Response {
    let content = async {
        let query = page.frame.view.query(page.frame.now);
        let metrics = page.ask(Dimension::Session.list(query, page.frame.view.groups())).await?;
        Ok(html! {
            (page.frame.controls())
            (table(&page.frame, &Dimension::Session, &metrics))
        })
    };
    page.respond(Tab::Sessions, "Sessions", content).await
}
