//! The driver's side of a connection, and statements that are sent without waiting for each.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_postgres::{AsyncMessage, Client, Statement};

use super::Link;
use super::bulk::{Column, Owned};
use crate::engine::driver::DbError;
use tenantry_core::error::Error;

/// A deferred statement.
pub(super) struct Later {
    pub(super) sql: Box<str>,
    pub(super) statement: Statement,
    /// One per call.
    pub(super) rows: Vec<Vec<Owned>>,
    pub(super) refused: fn(DbError) -> Error,
}

impl Later {
    pub(super) async fn send(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let sent = match self.rows.as_slice() {
            [row] => client.execute_raw(&self.statement, row.iter().map(Owned::param)).await,
            rows => {
                let columns = (0..self.statement.params().len()).map(|at| Column { rows, at });
                client.execute_raw(&self.statement, columns).await
            }
        };
        sent.map(drop)
    }
}

/// The driver's side of a connection, and the runtime it is polled on.
pub(super) struct Line {
    /// Taken only by `drop`.
    pub(super) runtime: Option<tokio::runtime::Runtime>,
    /// None when the connection is closed.
    pub(super) link: Option<Pin<Box<Link>>>,
    pub(super) heard: Vec<tokio_postgres::Notification>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // An ordinary drop is not allowed on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    pub(super) fn poll_link(&mut self, cx: &mut Context<'_>) {
        while let Some(link) = &mut self.link {
            match link.poll_message(cx) {
                Poll::Ready(Some(Ok(AsyncMessage::Notification(heard)))) => self.heard.push(heard),
                Poll::Ready(Some(Ok(_))) => {}
                // The waiting statement gets the error only when the driver's side is dropped.
                Poll::Ready(Some(Err(_)) | None) => self.link = None,
                Poll::Pending => return,
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.link.is_none()
    }

    /// Waits for a response, at most `timeout`.
    pub(super) fn wait<T>(
        &mut self,
        timeout: Duration,
        response: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DbError> {
        let Some(runtime) = self.runtime.take() else { return Err(DbError::Lost("it was closed".into())) };
        let mut response = pin!(response);
        let done = runtime.block_on(async {
            let both = poll_fn(|cx| {
                self.poll_link(cx);
                let response = response.as_mut().poll(cx);
                if response.is_pending() {
                    // Sends what the response has triggered.
                    self.poll_link(cx);
                }
                response
            });
            tokio::time::timeout(timeout, both).await
        });
        self.runtime = Some(runtime);
        match done {
            Ok(response) => response.map_err(DbError::from),
            Err(_) => Err(DbError::Lost(String::from("no answer in time"))),
        }
    }
}

pub(super) type Ahead<'a> = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + 'a>>;

/// Runs futures concurrently. Each sends its request on its first poll, in order.
pub(super) async fn in_order<T>(
    mut ahead: Vec<Ahead<'_>>,
    last: impl Future<Output = T>,
) -> (Vec<Result<(), tokio_postgres::Error>>, T) {
    let mut responses: Vec<_> = ahead.iter().map(|_| None).collect();
    let mut last = pin!(last);
    let mut last_done = None;
    poll_fn(|cx| {
        let mut is_done = true;
        for (future, response) in ahead.iter_mut().zip(&mut responses) {
            if response.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(done) => *response = Some(done),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if last_done.is_none() {
            match last.as_mut().poll(cx) {
                Poll::Ready(done) => last_done = Some(done),
                Poll::Pending => is_done = false,
            }
        }
        if !is_done {
            return Poll::Pending;
        }
        let responses = responses.iter_mut().filter_map(Option::take).collect();
        last_done.take().map_or(Poll::Pending, |last| Poll::Ready((responses, last)))
    })
    .await
}
