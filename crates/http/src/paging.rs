//! Query parameters, pages and streams of lists (contract, part C, Paging; B13, B26, B29).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::parameters::{CURSOR, PAGE, PAGE_SIZE, Parameter, SEARCH};
use crate::problem::Problem;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::values;
use tenantry_domain::cursors::{CODE_LENGTH, CursorKey};
use tenantry_store::listing::lists::{SortKey, Total};

/// Parameters of the hosted API that are ignored (B29).
const IGNORED: [&str; 3] = ["folderId", "permissions", "includePermissions"];

/// Default page size.
const DEFAULT_PAGE_SIZE: i64 = 10;

/// The query parameters of a request, parsed one by one; errors are collected.
#[derive(Debug)]
pub struct Params {
    unread: Vec<(String, String)>,
    errors: Vec<FieldError>,
    /// The key that authenticates cursors, for operations with pages.
    cursors: Option<CursorKey>,
}

impl Params {
    /// Parses a query string. A parameter that is not UTF-8 is an error: with replacement characters it would ask for
    /// something else.
    pub fn parse(query: Option<&str>) -> Self {
        let mut params = Self { unread: Vec::new(), errors: Vec::new(), cursors: None };
        for pair in query.unwrap_or("").split('&') {
            let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).next() else { continue };
            if IGNORED.contains(&name.as_ref()) {
                continue;
            }
            if name.contains('\0') || value.contains('\0') {
                // No stored value contains it, and databases differ in their handling of it.
                let detail = "contains the control character U+0000: remove it";
                params.errors.push(FieldError::new(name.into_owned(), "control-character", detail));
            } else if is_utf8(pair) {
                params.unread.push((name.into_owned(), value.into_owned()));
            } else {
                let detail = "is not UTF-8 after percent-decoding";
                params.errors.push(FieldError::new(name.into_owned(), "not-utf8", detail));
            }
        }
        params
    }

    /// For a list with pages.
    #[must_use]
    pub fn with_cursors(self, key: &CursorKey) -> Self {
        Self { cursors: Some(key.clone()), ..self }
    }

    /// Whether a parameter was given and is not parsed yet.
    pub fn has(&self, name: &str) -> bool {
        self.unread.iter().any(|(n, _)| n == name)
    }

    /// Parameters from elsewhere than a query.
    pub fn of(unread: Vec<(String, String)>) -> Self {
        Self { unread, errors: Vec::new(), cursors: None }
    }

    /// All values of a repeatable parameter, in the given order.
    pub fn all(&mut self, name: &'static str) -> Vec<String> {
        self.unread.extract_if(.., |(n, _)| n == name).map(|(_, value)| value).collect()
    }

    /// The value of a parameter that is not repeatable.
    pub fn one(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.all(name).into_iter();
        let first = values.next();
        if values.next().is_some() {
            self.error(name, "repeated", "must not be repeated");
        }
        first
    }

    /// The value of a required parameter that is not repeatable.
    pub fn required(&mut self, name: &'static str) -> Option<String> {
        let is_there = self.has(name);
        let value = self.one(name);
        if !is_there {
            self.error(name, "required", "is required");
        }
        value
    }

    /// Records an error of a parameter.
    pub fn error(&mut self, name: &'static str, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::new(name, code, detail));
    }

    /// The checked value of a parameter; an invalid one is recorded as an error.
    pub fn checked<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, (&'static str, String)>,
    ) -> Option<T> {
        let value = self.one(name)?;
        match check(&value) {
            Ok(value) => Some(value),
            Err((code, detail)) => {
                self.error(name, code, detail);
                None
            }
        }
    }

    /// `true`, `false`, in any case of letters, or empty, which means true (B26).
    pub fn flag(&mut self, parameter: &Parameter) -> Option<bool> {
        self.checked(parameter.name, |value| match value {
            "" => Ok(true),
            value if value.eq_ignore_ascii_case("true") => Ok(true),
            value if value.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(("wrong-value", String::from("must be true or false"))),
        })
    }

    /// An integer within the bounds of its parameter.
    pub fn integer(&mut self, parameter: &Parameter) -> Option<i64> {
        let (least, most) = parameter.bounds();
        self.checked(parameter.name, |value| {
            values::whole_number(value)
                .filter(|v| (least..=most).contains(v))
                .ok_or_else(|| ("out-of-range", format!("must be an integer from {least} to {most}")))
        })
    }

    /// Ids, each a positive integer; the parameter is repeatable (B17).
    pub fn ids(&mut self, parameter: &Parameter) -> Vec<i64> {
        let (name, mut ids) = (parameter.name, Vec::new());
        for value in self.all(name) {
            match values::whole_number(&value) {
                Some(id) if id > 0 => ids.push(id),
                _ => self.error(name, "wrong-value", "must be a positive integer up to 9223372036854775807"),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The words of a search; none is no search (B27).
    pub fn search(&mut self) -> Option<SearchTerm> {
        let read = |term: &str| SearchTerm::parse(term).map_err(|bad| (bad.code, bad.detail.into_owned()));
        self.checked(SEARCH.name, read).flatten()
    }

    /// As [`Self::search`], without accents: a search for users (B27).
    pub fn user_search(&mut self) -> Option<SearchTerm> {
        self.search()?.without_accents()
    }

    /// One of the sort orders of a list.
    pub fn sort_by<T: Copy>(&mut self, names: &[(&'static str, T)], default: T) -> T {
        self.checked("sortBy", |value| {
            names.iter().find(|(name, _)| *name == value).map(|(_, sort)| *sort).ok_or_else(|| {
                let known: Vec<_> = names.iter().map(|(name, _)| *name).collect();
                ("wrong-value", format!("must be one of {}", known.join(", ")))
            })
        })
        .unwrap_or(default)
    }

    /// Returns all errors, including unknown parameters (B29).
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn finish(mut self) -> Result<()> {
        for (name, _) in std::mem::take(&mut self.unread) {
            let detail = match name.as_str() {
                "dryRun" => String::from("this operation has no dry run; nothing was done"),
                _ => format!("{name:?} is not a query parameter of this operation"),
            };
            self.errors.push(FieldError::new(name, "unknown-parameter", detail));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Error::Invalid(self.errors)) }
    }
}

/// Whether a percent-encoded text decodes to UTF-8.
fn is_utf8(encoded: &str) -> bool {
    percent_encoding::percent_decode_str(encoded).decode_utf8().is_ok()
}

/// The requested start of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A page number, from 0.
    Page(i64),
    /// After the row of a cursor.
    After(SortKey, i64),
}

/// The requested part of a list.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Where it begins.
    pub start: Start,
    /// The maximum number of rows.
    pub size: i64,
    /// The key that authenticates the cursor of the next page.
    cursors: Option<CursorKey>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { start: Start::Page(0), size: DEFAULT_PAGE_SIZE, cursors: None }
    }
}

impl PageRequest {
    /// The number of rows before this page; `None` with a cursor.
    pub fn offset(&self) -> Option<i64> {
        match self.start {
            Start::Page(page) => Some(page.saturating_mul(self.size)),
            Start::After(..) => None,
        }
    }
}

/// The row of a cursor. It is prefixed by an authentication code over it and its list ([`CursorKey`]), so that a cursor
/// is valid only unmodified and for the same partner, list, order and filters.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    #[serde(skip_serializing_if = "Option::is_none")]
    int: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    id: i64,
}

/// A list with its order and filters: what a cursor belongs to, and what its link repeats.
#[derive(Debug, Clone)]
pub struct ListAddress {
    /// The path, for the link.
    pub path: Cow<'static, str>,
    /// The partner.
    pub pid: PartnerId,
    /// All parameters that determine the rows and their order.
    pub parameters: Vec<(&'static str, String)>,
}

impl ListAddress {
    /// The identity of the list in its cursors.
    fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&self.pid.0.to_le_bytes());
        let mut part = |text: &str| {
            out.extend_from_slice(&text.len().to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        };
        part(&self.path);
        for (name, value) in &self.parameters {
            part(name);
            part(value);
        }
        out
    }

    fn cursor(&self, cursors: &CursorKey, key: SortKey, id: i64) -> String {
        let (int, text) = match key {
            SortKey::Int(v) => (Some(v), None),
            SortKey::Text(v) => (None, Some(v)),
        };
        let place = serde_json::to_vec(&Cursor { int, text, id }).unwrap_or_default();
        let code = cursors.code(&self.canonical(), &place);
        URL_SAFE_NO_PAD.encode([code.as_slice(), &place].concat())
    }

    fn open(&self, cursors: &CursorKey, cursor: &str) -> Option<Start> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (code, place) = bytes.split_at_checked(CODE_LENGTH)?;
        if !cursors.is_code(code, &self.canonical(), place) {
            return None;
        }
        let cursor: Cursor = serde_json::from_slice(place).ok()?;
        let key = match (cursor.int, cursor.text) {
            (Some(v), None) => SortKey::Int(v),
            (None, Some(v)) => SortKey::Text(v),
            _ => return None,
        };
        Some(Start::After(key, cursor.id))
    }

    /// `Link: <...>; rel="next"` (RFC 8288), relative to the server.
    fn next_link(&self, cursors: &CursorKey, key: SortKey, id: i64, size: i64) -> Option<HeaderValue> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let cursor = self.cursor(cursors, key, id);
        query.append_pair("cursor", &cursor).append_pair("pageSize", &size.to_string());
        for (name, value) in &self.parameters {
            query.append_pair(name, value);
        }
        let mut link = String::from("<");
        let _ = write!(link, "{}?{}>; rel=\"next\"", self.path, query.finish());
        HeaderValue::from_str(&link).ok()
    }
}

impl Params {
    /// Parses `page`, `pageSize` and `cursor`. `None` if none of them is given: the plain array. Call it last, since a
    /// cursor is compared with the list's address.
    pub fn page(&mut self, address: &ListAddress, always_wrapped: bool) -> Option<PageRequest> {
        let asked = always_wrapped || [&PAGE, &PAGE_SIZE, &CURSOR].iter().any(|part| self.has(part.name));
        let size = self.integer(&PAGE_SIZE);
        let page = self.integer(&PAGE);
        let cursors = self.cursors.clone();
        let cursor = self.checked(CURSOR.name, |value| {
            cursors.as_ref().and_then(|key| address.open(key, value)).ok_or_else(|| {
                let detail = "this cursor belongs to another list, order or filter: start again without it";
                ("wrong-cursor", detail.to_owned())
            })
        });
        if page.is_some() && cursor.is_some() {
            self.error("page", "contradiction", "set page or cursor, not both");
        }
        let start = cursor.unwrap_or(Start::Page(page.unwrap_or(0)));
        asked.then(|| PageRequest { start, size: size.unwrap_or(DEFAULT_PAGE_SIZE), cursors })
    }
}

/// The rows of a page, plus one more if there is a next page.
#[derive(Debug)]
pub struct FoundRows<R> {
    /// The total number of rows.
    pub total: Total,
    /// The rows.
    pub rows: R,
}

/// A page of a list, as responses show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<W> {
    total: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_is_exact: Option<bool>,
    page: Option<i64>,
    page_size: i64,
    list: Vec<W>,
}

impl<W: ToSchema> PartialSchema for Page<W> {
    fn schema() -> RefOr<Schema> {
        let rows = format!("#/components/schemas/{}", W::name());
        let schema = json!({
            "type": "object",
            "description": "A page of a list.",
            "required": ["total", "page", "pageSize", "list"],
            "properties": {
                "total": { "type": "integer", "format": "int64", "minimum": 0, "example": 1, "description": "The total number of rows." },
                "totalIsExact": { "type": "boolean", "description": "`false` if there are more than `total`; omitted otherwise." },
                "page": {
                    "type": ["integer", "null"], "format": "int64", "minimum": PAGE.bounds().0, "example": 0,
                    "description": "The requested page; null in a response to a cursor.",
                },
                "pageSize": {
                    "type": "integer", "format": "int64", "minimum": PAGE_SIZE.bounds().0, "maximum": PAGE_SIZE.bounds().1,
                    "example": DEFAULT_PAGE_SIZE, "description": "The requested page size.",
                },
                "list": { "type": "array", "items": { "$ref": rows }, "description": "The rows." },
            },
        });
        serde_json::from_value(schema).unwrap_or_else(|_| RefOr::T(Schema::default()))
    }
}

impl<W: ToSchema> ToSchema for Page<W> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", W::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((W::name().into_owned(), W::schema()));
        W::schemas(schemas);
    }
}

/// A whole list, or a page of it where a page is asked for.
#[derive(Debug)]
pub enum List<W> {
    /// Every row.
    Complete(Vec<W>),
    /// A page.
    Page(Page<W>),
}

impl<W: ToSchema> PartialSchema for List<W> {
    fn schema() -> RefOr<Schema> {
        let about = "All rows; or a page of them, with any of `page`, `pageSize` and `cursor`.";
        OneOfBuilder::new()
            .description(Some(about))
            .item(ArrayBuilder::new().items(Ref::from_schema_name(W::name())))
            .item(Ref::from_schema_name(Page::<W>::name()))
            .into()
    }
}

impl<W: ToSchema> ToSchema for List<W> {
    fn name() -> Cow<'static, str> {
        format!("{}List", W::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Page::<W>::name().into_owned(), Page::<W>::schema()));
        Page::<W>::schemas(schemas);
    }
}

/// A wrapped page. `found` may have one more row than requested, which indicates a next page.
pub fn page_response<'a, T: 'a, W: Serialize>(
    address: &ListAddress,
    request: &PageRequest,
    found: FoundRows<&'a [T]>,
    key_of: impl Fn(&T) -> (SortKey, i64),
    shape: impl Fn(&'a T) -> W,
) -> Response {
    let size = usize::try_from(request.size).unwrap_or(usize::MAX);
    let has_next = found.rows.len() > size;
    let rows = found.rows.get(..size).unwrap_or(found.rows);
    let list: Vec<W> = rows.iter().map(shape).collect();
    let page = match request.start {
        Start::Page(page) => Some(page),
        Start::After(..) => None,
    };
    let total_is_exact = (!found.total.is_exact).then_some(false);
    let shown = Page { total: found.total.count, total_is_exact, page, page_size: request.size, list };
    let mut response = crate::responses::json(StatusCode::OK, &shown);
    if let (true, Some(last), Some(cursors)) = (has_next, rows.last(), &request.cursors) {
        let (key, id) = key_of(last);
        if let Some(link) = address.next_link(cursors, key, id, request.size) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}

/// A streamed JSON array (B13). Chunks of rows, as JSON without brackets, come through the sender, and `None` after the
/// last one. An error, or a sender that is dropped earlier, aborts the connection without ending the array well-formed.
fn framed_stream(frame: Frame) -> (mpsc::Sender<Result<Option<Bytes>>>, Response) {
    // Two chunks: one is sent while the next is read.
    let (sender, chunks) = mpsc::channel(2);
    let Frame { content_type, open, close } = frame;
    let state = if open.is_empty() { ArrayState::Rows } else { ArrayState::Opening };
    let body = Body::new(ArrayBody { chunks, state, open, close });
    (sender, ([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// The frame of streamed rows.
#[derive(Debug)]
pub struct Frame {
    /// The content type.
    pub content_type: HeaderValue,
    /// Before the first row.
    pub open: &'static str,
    /// After the last row.
    pub close: &'static str,
}

struct ArrayBody {
    chunks: mpsc::Receiver<Result<Option<Bytes>>>,
    state: ArrayState,
    open: &'static str,
    close: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ArrayState {
    Opening,
    Rows,
    Ended,
}

impl hyper::body::Body for ArrayBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>>>> {
        match self.state {
            ArrayState::Opening => {
                self.state = ArrayState::Rows;
                Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(self.open.as_bytes())))))
            }
            ArrayState::Ended => Poll::Ready(None),
            ArrayState::Rows => {
                let Poll::Ready(chunk) = self.chunks.poll_recv(cx) else { return Poll::Pending };
                let frame =
                    match chunk.unwrap_or_else(|| Err(Error::internal("the reader of a list was dropped"))) {
                        Ok(Some(rows)) => return Poll::Ready(Some(Ok(hyper::body::Frame::data(rows)))),
                        // An empty chunk would end the body.
                        Ok(None) if self.close.is_empty() => {
                            self.state = ArrayState::Ended;
                            return Poll::Ready(None);
                        }
                        Ok(None) => Ok(hyper::body::Frame::data(Bytes::from_static(self.close.as_bytes()))),
                        Err(error) => {
                            tracing::error!(%error, "a streamed list failed");
                            Err(error)
                        }
                    };
                self.state = ArrayState::Ended;
                Poll::Ready(Some(frame))
            }
        }
    }
}

/// Serializes rows of an array, separated by commas.
pub fn write_rows<W: Serialize>(rows: impl Iterator<Item = W>, is_first: bool) -> Result<Bytes> {
    let mut out = Vec::with_capacity(256 * 1024);
    for (i, row) in rows.enumerate() {
        if i > 0 || !is_first {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, &row)
            .map_err(|e| Error::internal(format!("a row cannot be serialized: {e}")))?;
    }
    Ok(Bytes::from(out))
}

/// Sends the chunks that `next` reads, until there is an empty one or the client is gone. `next` takes the cursor of
/// the last row (`None` at first) and returns a chunk with the cursor of its last row.
///
/// # Errors
/// A [`Problem`] if the first chunk cannot be read.
pub async fn stream<C, F, Fut>(next: F) -> Result<Response, Problem>
where
    C: Send + 'static,
    F: FnMut(Option<C>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<(Bytes, C)>>> + Send,
{
    let content_type = HeaderValue::from_static("application/json");
    stream_within(Frame { content_type, open: "[", close: "]" }, next).await
}

/// As [`stream`], with another frame.
///
/// # Errors
/// As [`stream`].
pub async fn stream_within<C, F, Fut>(frame: Frame, mut next: F) -> Result<Response, Problem>
where
    C: Send + 'static,
    F: FnMut(Option<C>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<(Bytes, C)>>> + Send,
{
    // The first chunk is read before the status line is sent: errors of the request get their own status.
    let first = next(None).await?;
    let (sender, response) = framed_stream(frame);
    tokio::spawn(async move {
        let mut read = Ok(first);
        while let Ok(Some((chunk, last))) = read {
            if sender.send(Ok(Some(chunk))).await.is_err() {
                return;
            }
            read = next(Some(last)).await;
        }
        // The client may be gone.
        let _ = sender.send(read.map(|_| None)).await;
    });
    Ok(response)
}
