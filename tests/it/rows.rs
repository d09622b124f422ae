//! The reader of imports holds for any bytes what its fuzz target checks.

use proptest::prelude::*;

#[path = "../../fuzz/entries/rows.rs"]
mod fuzz;

/// Where the reader decides something.
const PIECES: [&[u8]; 22] = [
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"\t",
    b"|",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"a",
    b"username",
    b"groups",
    b"x",
    b"#rows",
    b"sep=",
    b"{",
    b"}",
    b"[",
    b"\xff",
    b"\0",
    b"\xef\xbb\xbf",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_holds_for_every_file_holds_for_the_likely_ones(
        choices in any::<[u8; 2]>(),
        has_names in any::<bool>(),
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60),
    ) {
        let names: &[u8] = if has_names { b"username,title,x\n" } else { b"" };
        fuzz::check(&[&choices[..], names, &pieces.concat()].concat());
    }

    #[test]
    fn what_holds_for_every_file_holds_for_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::check(&bytes);
    }
}
