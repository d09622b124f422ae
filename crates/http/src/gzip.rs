//! Compressed bodies of imports (RFC 9110 §8.4), decoded as they arrive.

use std::io::Write as _;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use flate2::write::MultiGzDecoder;

use tenantry_core::error::FieldError;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCoding {
    /// As it is.
    Identity,
    /// By gzip.
    Gzip,
}

impl ContentCoding {
    /// What a request says; `None` if it is another one, or several.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let fields = headers.get_all(CONTENT_ENCODING).into_iter();
        let codings = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
        let mut codings = codings
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => Some(Self::Identity),
            (Some(coding), None)
                if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") =>
            {
                Some(Self::Gzip)
            }
            _ => None,
        }
    }
}

/// Number of bytes to decode at once, so that what comes of them takes at most a megabyte: deflate makes at most 1032 bytes
/// of one.
pub const PIECE: usize = 1024;

/// A body may become this many times as large, once it has become [`UNCHECKED`] bytes. Rows become ten to thirty times as
/// large, the same row over and over a hundred times.
const RATIO: u64 = 200;
const UNCHECKED: u64 = 1024 * 1024;

/// Decodes a gzip body.
#[derive(Debug)]
pub struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    received: u64,
    decoded: u64,
}

impl Default for Gunzip {
    fn default() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), received: 0, decoded: 0 }
    }
}

impl Gunzip {
    /// Decodes the next bytes, at most [`PIECE`] of them.
    ///
    /// # Errors
    /// They are not gzip, or become too many bytes.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, FieldError> {
        self.received += piece.len() as u64;
        self.decoder.write_all(piece).map_err(|_| malformed())?;
        self.take()
    }

    /// Ends the body.
    ///
    /// # Errors
    /// It is incomplete.
    pub fn finish(mut self) -> Result<Vec<u8>, FieldError> {
        if self.received == 0 {
            return Ok(Vec::new());
        }
        self.decoder.try_finish().map_err(|_| malformed())?;
        self.take()
    }

    fn take(&mut self) -> Result<Vec<u8>, FieldError> {
        let bytes = std::mem::take(self.decoder.get_mut());
        self.decoded += bytes.len() as u64;
        if self.decoded > UNCHECKED && self.decoded / RATIO > self.received {
            let detail =
                format!("the body becomes more than {RATIO} times as large: send it without compression");
            return Err(FieldError::new("", "compression-ratio", detail));
        }
        Ok(bytes)
    }
}

fn malformed() -> FieldError {
    FieldError::new("", "malformed-gzip", "the body is not gzip, as its Content-Encoding says, or is cut off")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(bytes: &[u8], step: usize) -> Result<Vec<u8>, &'static str> {
        let (mut gunzip, mut decoded) = (Gunzip::default(), Vec::new());
        for piece in bytes.chunks(step) {
            decoded.extend(gunzip.push(piece).map_err(|error| error.code)?);
        }
        decoded.extend(gunzip.finish().map_err(|error| error.code)?);
        Ok(decoded)
    }

    #[test]
    fn a_body_is_decoded_in_any_pieces() {
        let text: Vec<u8> = (0..20_000).flat_map(|n| format!("user{n},\n").into_bytes()).collect();
        for step in [1, 7, PIECE] {
            assert_eq!(gunzip(&gzip(&text), step).as_deref(), Ok(&text[..]));
        }
        // Several members, as of files put together.
        let both = [gzip(b"a"), gzip(b"b")].concat();
        assert_eq!(gunzip(&both, 3).as_deref(), Ok(&b"ab"[..]));
        assert_eq!(gunzip(b"", 1).as_deref(), Ok(&b""[..]));
        assert_eq!(gunzip(&gzip(b""), 1).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn what_is_not_gzip_or_cut_off_is_refused() {
        let whole = gzip(b"username\nada\n");
        for cut in 1..whole.len() {
            assert_eq!(gunzip(&whole[..cut], PIECE), Err("malformed-gzip"), "{cut}");
        }
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bytes in [&b"username\nada\n"[..], &changed, &[&whole[..], b"more"].concat()] {
            assert_eq!(gunzip(bytes, PIECE), Err("malformed-gzip"));
        }
    }

    #[test]
    fn a_small_body_does_not_become_a_large_one() {
        let zeros = gzip(&vec![0; 64 * 1024 * 1024]);
        assert_eq!(gunzip(&zeros, PIECE), Err("compression-ratio"));
        // A small file may be as regular as it likes.
        assert!(gunzip(&gzip(&vec![b'\n'; 500_000]), PIECE).is_ok());
        // The same user under ten thousand names.
        let rows: Vec<u8> = (0..100_000)
            .flat_map(|n| format!("user{n},ACTIVE,Amy,Ames,amy@example.com\n").into_bytes())
            .collect();
        assert_eq!(gunzip(&gzip(&rows), PIECE).map(|rows| rows.len()), Ok(rows.len()));
    }

    #[test]
    fn only_gzip_is_decoded() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            ContentCoding::of(&headers)
        };
        for none in [&[][..], &["identity"], &[""], &["identity, Identity"]] {
            assert_eq!(of(none), Some(ContentCoding::Identity), "{none:?}");
        }
        for gzip in [&["gzip"][..], &["GZIP"], &["x-gzip"], &["identity, gzip"], &["identity", "gzip"]] {
            assert_eq!(of(gzip), Some(ContentCoding::Gzip), "{gzip:?}");
        }
        for other in [&["br"][..], &["deflate"], &["zstd"], &["gzip, gzip"], &["gzip", "br"], &["gzip;q=1"]] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }
}
