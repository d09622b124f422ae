//! Recognizes by their first bytes files that cannot be read: in other encodings than UTF-8, or compressed.

use crate::error::FieldError;

/// Number of bytes by which an encoding is recognized.
pub(super) const HEAD: usize = 4;

/// The first bytes of gzip (RFC 1952 §2.3.1).
pub const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Checks the beginning of a file. Returns the length of its byte order mark.
///
/// # Errors
/// What it is, if it is not UTF-8.
pub(super) fn check(head: &[u8]) -> Result<usize, FieldError> {
    let encoding = match head {
        [0xef, 0xbb, 0xbf, ..] => return Ok(3),
        [0xff, 0xfe, 0, 0, ..] | [1..=255, 0, 0, 0, ..] => "UTF-32 (little-endian)",
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=255, ..] => "UTF-32 (big-endian)",
        // Without a mark: a character of ASCII has a byte that is zero.
        [0xff, 0xfe, ..] | [1..=255, 0, ..] => "UTF-16 (little-endian)",
        [0xfe, 0xff, ..] | [0, 1..=255, ..] => "UTF-16 (big-endian)",
        [b'+', b'/', b'v', b'8' | b'9' | b'+' | b'/', ..] => "UTF-7",
        [0xdd, 0x73, 0x66, 0x73, ..] => "UTF-EBCDIC",
        [0x84, 0x31, 0x95, 0x33, ..] => "GB 18030",
        _ => return check_compression(head),
    };
    let detail = format!("this is {encoding}; save the file as CSV UTF-8, or convert it with iconv");
    Err(FieldError::new("", "not-utf-8", detail))
}

fn check_compression(head: &[u8]) -> Result<usize, FieldError> {
    let (name, remedy) = match head {
        [0x1f, 0x8b, ..] => ("gzip", "send it with Content-Encoding: gzip, or unpack it"),
        [b'P', b'K', 3, 4, ..] => (
            "a ZIP archive, as .xlsx and .ods are",
            "save the spreadsheet as CSV UTF-8, or unpack the archive",
        ),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => ("a spreadsheet (.xls)", "save it as CSV UTF-8"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("compressed with zstd", "unpack it"),
        [0xfd, b'7', b'z', b'X', ..] => ("compressed with xz", "unpack it"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => ("compressed with bzip2", "unpack it"),
        _ => return Ok(0),
    };
    Err(FieldError::new("", "not-text", format!("this is {name}: {remedy}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_named() {
        let of =
            |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<_>>();
        let of_32 = |text: &str, unit: fn(u32) -> [u8; 4]| {
            text.chars().flat_map(|c| unit(c as u32)).collect::<Vec<_>>()
        };
        for mark in ["\u{feff}", ""] {
            let text = format!("{mark}username,email\n");
            for (file, expected) in [
                (of(&text, u16::to_le_bytes), "UTF-16 (little-endian)"),
                (of(&text, u16::to_be_bytes), "UTF-16 (big-endian)"),
                (of_32(&text, u32::to_le_bytes), "UTF-32 (little-endian)"),
                (of_32(&text, u32::to_be_bytes), "UTF-32 (big-endian)"),
            ] {
                let error = check(&file[..HEAD]).unwrap_err();
                assert_eq!(error.code, "not-utf-8");
                assert!(error.detail.starts_with(&format!("this is {expected}; save ")), "{error:?}");
            }
            assert_eq!(check(&text.as_bytes()[..HEAD]), Ok(mark.len()));
        }
        // As short as a file can be.
        assert_eq!(check(b"u\0").unwrap_err().code, "not-utf-8");
        for text in [&b""[..], b"u", b"\0", b"BZhx", b"PKs,", "é,".as_bytes(), b"\xff,\xe9"] {
            assert_eq!(check(text), Ok(0), "{text:?}");
        }
    }

    #[test]
    fn compressed_files_are_named() {
        for (head, name) in [
            (&b"\x1f\x8b\x08\x00"[..], "gzip"),
            (b"PK\x03\x04", ".xlsx"),
            (b"\xd0\xcf\x11\xe0", ".xls"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"\xfd7zX", "xz"),
            (b"BZh9", "bzip2"),
        ] {
            let error = check(head).unwrap_err();
            assert!(error.code == "not-text" && error.detail.contains(name), "{error:?}");
        }
    }
}
