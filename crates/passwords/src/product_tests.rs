//! Hashes that other systems publish in their tests and documents, or that public collections have of them.

use proptest::prelude::*;

use crate::*;

/// Source, password and hash. Those without a source were computed for this test with Python's hashlib.
const HASHES: &[(&str, &str, &str)] = &[
    ("hashcat, mode 400", "hashcat", "$P$984478476IagS59wHZvyQMArzfx58u."),
    ("hashcat, mode 400", "hashcat", "$H$984478476IagS59wHZvyQMArzfx58u."),
    ("phpass, test.php", "test12345", "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"),
    ("WordPress 6.8", "admin", "$wp$2y$10$Q1xinFjrZeLWJBvxviIL6u834Fu.evIEFHAUVisQ5O.w9Dm0sMdES"),
    ("hashcat, mode 7900: Drupal 7", "hashcat", "$S$C33783772bRXEx1aCsvY.dqgaaSu76XmVlKrW9Qu8IQlvxHlmzLf"),
    ("Drupal, from 6", "Old.Tea-Cup.12", "U$S$9saltsaltfK9FyoycBxM.T9V5wHtUQQUwwZ8e4085C5x/tmsswNO"),
    ("Drupal, from 6", "Old.Tea-Cup.12", "U$P$9saltsaltf2CMdrM295eppxV0HoVh10"),
    ("hashcat, mode 500", "hashcat", "$1$28772684$iEwNOgGugqO9.bIz5sk8k/"),
    ("hashcat, mode 500, as LDAP has it", "hashcat", "{CRYPT}$1$28772684$iEwNOgGugqO9.bIz5sk8k/"),
    ("hashcat, mode 500, as 389-ds has it", "hashcat", "{CRYPT-MD5}$1$28772684$iEwNOgGugqO9.bIz5sk8k/"),
    ("hashcat, mode 1600", "hashcat", "$apr1$71850310$gh9m4xcAn3MGxogwX/ztb."),
    ("hashcat, mode 124: Django", "hashcat", "sha1$fe76b$02d5916550edf7fc8c886f044887f4b1abf9b013"),
    ("Django, unsalted", "Old.Tea-Cup.12", "sha1$$ed5caa34693d4f4496947a2c60a7357025e0c527"),
    ("Django", "Old.Tea-Cup.12", "md5$saltsalt$5487381d4f9322d597487108d77b1cb4"),
    ("Django, unsalted", "Old.Tea-Cup.12", "md5$$3456e907221518f420fedad55b195cb2"),
    ("LDAP", "Old.Tea-Cup.12", "{SMD5}o+f8bu+hXbu/fQ7rVvgTPnNhbHQ="),
    ("LDAP", "Old.Tea-Cup.12", "{MD5}NFbpByIVGPQg/trVWxlcsg=="),
    (
        "389-ds",
        "Old.Tea-Cup.12",
        "{SSHA384}8OWbInRDfFexRcxeHkAPHy5UfCNijYTiKUR+jAZPTi1c42FEI/KoPvFj+U87ubXAc2FsdA==",
    ),
    ("389-ds", "Old.Tea-Cup.12", "{SHA384}U8UEl8w4GoJcP/Ed0R/BwS8ilnMCo8d9CpNyWcKYJgMRha+MDf/G79Tc85UMPhcM"),
    (
        "Kratos, hasher_test.go",
        "test",
        "$scrypt$ln=16384,r=8,p=1$2npRo7P03Mt8keSoMbyD/tKFWyUzjiQf2svUaNDSrhA=$MiCzNcIplSMqSBrm4HckjYqYhaVPPjTARTzwB1cVNYE=",
    ),
    (
        "Kratos, hasher_test.go",
        "8x4WjoDbSxJZdR",
        "$firescrypt$ln=14,r=8,p=1$sPtDhWcd1MfdAw==$xbSou7FOl6mChCyzpCPIQ7tku7nsQMTFtyOZSXXd7tjBa4NtimOx7v42Gv2SfzPQu1oxM2/k4SsbOu73wlKe1A==$Bw==$YE0dO4bwD4JnJafh6lZZfkp1MtKzuKAXQcDCJNJNyeCHairWHKENOkbh3dzwaCdizzOspwr/FITUVlnOAwPKyw==",
    ),
    (
        "Kratos, hasher_test.go",
        "test",
        "$pbkdf2-sha256$i=100000,l=32$1jP+5Zxpxgtee/iPxGgOz0RfE9/KJuDElP1ley4VxXc$QJxzfvdbHYBpydCbHoFg3GJEqMFULwskiuqiJctoYpI",
    ),
    (
        "Kratos, hasher_test.go",
        "test",
        "$argon2id$v=19$m=32,t=2,p=4$cm94YnRVOW5jZzFzcVE4bQ$MNzk5BtR2vUhrp6qQEjRNw",
    ),
    (
        "Kratos, hasher_test.go",
        "test",
        "$sha1$pf=e1NBTFR9e1BBU1NXT1JEfQ==$NW9wbWtnejAzcg==$2qU2SGWP8viTM1md3FiI3+rjWXQ=",
    ),
    (
        "Kratos, hasher_test.go",
        "test",
        "$sha1$pf=e1BBU1NXT1JEfSUle1NBTFR9$NW9wbWtnejAzcg==$YX0AW8/MW5ojUlnzTaR43ucHCog=",
    ),
    (
        "Kratos, hasher_test.go",
        "test",
        "$sha256$pf=e1NBTFR9JCR7UEFTU1dPUkR9$NW9wbWtnejAzcg==$HokCOi9OtiZaZRvnkgemV3B4UUHpI7kA8zq/EZWH2NY=",
    ),
    ("Kratos, hasher_test.go", "test", "$md5$CY9rzUYh03PK3k6DJie09g=="),
    ("Kratos, hasher_test.go", "test", "$md5$pf=e1NBTFR9e1BBU1NXT1JEfQ==$MTIz$q+RdKCgc+ipCAcm5ChQwlQ=="),
    ("Kratos, hasher_test.go", "test", "$md5-crypt$TVEiiKNb$SN6/pUaRQS/E8Jh46As2C/"),
    (
        "Kratos, hasher_test.go",
        "test",
        "$hmac-sha256$ZTAzMWJhMWMyOTM4YjFkMjgzZjkxOWExZGY5YWM2NmMxOTJhN2RkNzQ0MzJkNWZkNGFkYTI5OTk0MWJhMTA5Zg==$MTIzNDU=",
    ),
    (
        "ASP.NET Core, PasswordHasherTest.cs, version 2",
        "my password",
        "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==",
    ),
    (
        "ASP.NET Core, PasswordHasherTest.cs, SHA-1",
        "my password",
        "AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M",
    ),
    (
        "ASP.NET Core, PasswordHasherTest.cs, SHA-256",
        "my password",
        "AQAAAAEAA9CQAAAAIESkQuj2Du8Y+kbc5lcN/W/3NiAZFEm11P27nrSN5/tId+bR1SwV8CO1Jd72r4C08OLvplNlCDc3oQZ8efcW+jQ=",
    ),
    (
        "ASP.NET Core, PasswordHasherTest.cs, SHA-512",
        "my password",
        "AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw==",
    ),
    (
        "FreeIPA, ipatests, user_plugin",
        "password",
        "{PBKDF2_SHA256}AAAIAG+ooTntmgayOuMZRJuCMFVykCVWcVF3tw8YTlvFp9KF9UnFYhgpz8fC03o4Jv5KD4rQ4GsdXHIRlg/doyd1xOVFDYUZYAPHjnSpm9XnzIcaS4ZCV/JeLqueyeZQWKOlCH+k9BCmO2HZC7AKXWGMG5bJ8GLALceyf0xioP447wehg8caWYY7f2VYBz6k233DUkgV5NqswzuEwtLdDDFjpro0Ac15ok6fS0vqjDfiMs0ai5FCbivEKw4j6ZyuXHCpck6gcH8lh33rs779ZaLAgtIeeW+xdea3BDCQXhuHwCqIxxifLn2gQy/lLxlikXb82gk2ClADhwoG5RIdJ3ABrPDB100yw6QJ7NF14vV7DDzqxqylocWD/l1xw8HIYdkCpRG8PyfLz8TOR+Mgq0uB/mddrSkU6Hsmg9MkGpST69av",
    ),
    (
        "hashcat, mode 10901: 389-ds",
        "hashcat",
        "{PBKDF2_SHA256}AAAgADkxMjM2NTIzMzgzMjQ3MjI4MDAwNTk5OTAyOTk4NDI2MjkyMzAzNjg0NjQwOTMxNjI3OTMzNjg0MDI0OTY5NTe5ULagRTYpLaUoeqJMg8x9W/DXu+9VTFaVhaYvebYrY+sOqn1ZMRnws22C1uAkiE2tFM8qN+xw5xe7OmCPZ203NuruK4oB33QlsKIEz4ppm0TR94JB9PJx7lIQwFHD3FUNUNryj4jk6UYyJ4+V1Z9Ug/Iy/ylQBJgfs5ihzgxHYZrfp1wUCXFzlZG9mxmziPm8VFnAhaX4+FBAZvLAx33jpbKOwEg7TmwP2VJ8BNFLQRqwYdlqIjQlAhncXH+dqIF9VdM4MonAA0hx76bMvFTP7LF5VO1IqVmcuYz7YG9v4KKRjnvoUUqOj6okUBQTay3EzsdFVnUW1FemYOccJd5q",
    ),
    (
        "hashcat, mode 12001: Atlassian",
        "hashcat",
        "{PKCS5S2}NzIyNzM0NzY3NTIwNjI3MdDDis7wPxSbSzfFqDGf7u/L00kSEnupbz36XCL0m7wa",
    ),
    (
        "Shiro's command line hasher",
        "123qwe",
        "$shiro1$SHA-256$500000$QmLtx8PaCMe72i+yVuqH+A==$P5ohK5uWi30u38ujuTnmmeUK2gPwqhxTnke2wd9fZXw=",
    ),
    (
        "Nexus Repository",
        "admin123",
        "$shiro1$SHA-512$1024$NE+wqQq/TmjZMvfI7ENh/g==$V4yPw8T64UQ6GfJfxYq2hLsVrBY8D1v+bktfOxGdt4b/9BthpWPNUy/CBk6V9iA0nHpzYzJFWO8v/tZFtES8CA==",
    ),
    ("Shiro", "Old.Tea-Cup.12", "$shiro1$SHA-1$2000$AQIDBAUGBwgJCgsMDQ4PEA==$deqkKSAhJT5zQtS+pxIW/Jj2Sns="),
    (
        "Shiro",
        "Old.Tea-Cup.12",
        "$shiro1$SHA-384$2000$AQIDBAUGBwgJCgsMDQ4PEA==$MmFeMnnBsVflPKgqUmgHWQA7nhGEUK7VVshGudUqeyMay82SkmelBieiEGN2ku2T",
    ),
    ("Shiro", "Old.Tea-Cup.12", "$shiro1$MD5$2000$AQIDBAUGBwgJCgsMDQ4PEA==$9999YpD5ZelxWYQRmv3UBQ=="),
    (
        "Shiro",
        "Old.Tea-Cup.12",
        "$shiro1$SHA-256$1$AQIDBAUGBwgJCgsMDQ4PEA==$fal+Z6T2lNcWmWaqEKKqAWgUw4J6e51qKnYKUCfUV0k=",
    ),
    (
        "Shiro 2, Argon2HashTest.groovy",
        "secret#shiro,password;Jo8opech",
        "$shiro2$argon2id$v=19$m=4096,t=3,p=4$MTIzNDU2Nzg5MDEyMzQ1Ng$bjcHqfb0LPHyS13eVaNcBga9LF12I3k34H5ULt2gyoI",
    ),
    (
        "Shiro 2, with the parameters in its order",
        "secret#shiro,password;Jo8opech",
        "$shiro2$argon2id$v=19$t=3,m=4096,p=4$MTIzNDU2Nzg5MDEyMzQ1Ng$bjcHqfb0LPHyS13eVaNcBga9LF12I3k34H5ULt2gyoI",
    ),
    ("Shiro 2", "Old.Tea-Pot-71", "$shiro2$2y$05$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe"),
    (
        "Firebase, README of firebase/scrypt, as Supabase stores it",
        "user1password",
        "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
    ),
    (
        "Firebase, integration test of firebase-admin-python",
        "password",
        "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$TmFDbA==$V358E8LdWJXAO7muq0CufVpEOXaj8aFiC7T/rcaGieN04q/ZPJ08WhJEHGjj9lz/2TT+/86N5VjVoc5DdBhBiw==",
    ),
    (
        "hashcat, mode 30600: passlib",
        "hashcat",
        "$bcrypt-sha256$v=2,t=2b,r=12$KSOjON/ciJR86a00N5q61.$AmWZucQuHk13FGkQWhgMeiFvBfm2GCy",
    ),
    ("LDAP", "Old.Tea-Cup.12", "{SHA256}urCXUDoNXiGpi4k6AowGnEjg02Woy+0ZJZdSmAwO5Rw="),
    (
        "LDAP",
        "Old.Tea-Cup.12",
        "{SHA512}pVFtAWyz5+u83Z5nQxTiA5jxNVGKt2EVRn6hi55FlGW5SUfj16qsF77kX83EueSB/J6P9ewvhsJcLXl4puWC6Q==",
    ),
    // As libxcrypt and the reference implementation of Argon2 made them, behind other prefixes.
    ("libxcrypt", "Old.Tea-Pot-71", "{CRYPT}$2y$05$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe"),
    (
        "libxcrypt",
        "Old.Tea-Pot-71",
        "{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe",
    ),
    ("libxcrypt", "Old.Tea-Pot-71", "$sha256-crypt$saltsalt$6QYbGV/SRTWPYM/F8Rpc3hUDnieem0Fe4yv1J/fXpmD"),
    (
        "libxcrypt",
        "Old.Tea-Pot-71",
        "$sha512-crypt$rounds=1234$saltsalt$FhTRcsoAljsx1GYh8f8QfeRERprjCYy0EDqplHVawz0V8XzqrnRm/0T8l/jpR7DV2vMRUG9QOs1GN45MManP3/",
    ),
    (
        "Argon2, test.c",
        "password",
        "{ARGON2}$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ),
    (
        "Argon2, test.c",
        "password",
        "argon2$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ),
    (
        "Kratos, hasher_test.go",
        "test",
        "$sha512$pf=e1NBTFR9e1BBU1NXT1JEfQ==$NW9wbWtnejAzcg==$6ctpVuApMNp0CgBXcdHw/GC562eFEFGr4gpgANX8ZYsX+j5B19IkdmOY2Fytsz3QUwSWdGcUjbqwgJGTH0UYvw==",
    ),
    (
        "pbkdf2 with SHA-384",
        "Old.Tea-Cup.12",
        "$pbkdf2-sha384$2000$c2FsdC1vZi0xNi1ieXRlcw$sjXE/CC46IoRNSre1wdYM2xYVZw2CeS3N9n16/E60XximDJyMgHcZBantg0m3on9",
    ),
];

fn hasher() -> Hasher {
    Hasher::new(1, 8, HashCost::FOR_TESTS, Random::seeded(1)).unwrap()
}

fn secret(s: &str) -> Zeroizing<String> {
    Zeroizing::new(s.to_owned())
}

#[tokio::test]
async fn published_hashes_are_verified() {
    let hasher = hasher();
    for (source, password, hash) in HASHES {
        assert_eq!(check_foreign(hash), Ok(()), "{source}: {hash}");
        let stored = || vec![(*hash).to_owned()];
        assert_eq!(hasher.verify(secret(password), stored()).await.unwrap(), Some(0), "{source}: {hash}");
        let wrong = format!("{password}.");
        assert_eq!(hasher.verify(secret(&wrong), stored()).await.unwrap(), None, "{source}: {hash}");
        assert!(!hasher.is_current(hash), "{source}: {hash}");
        // A login computes it at once if it is cheap, otherwise in its turn.
        let login = hasher.verify_login(secret(password), stored()).await.unwrap();
        match work_of(hash) {
            None => assert_eq!((login.matched, login.expensive), (Some(0), vec![]), "{source}: {hash}"),
            Some(_) => assert_eq!((login.matched, login.expensive), (None, vec![0]), "{source}: {hash}"),
        }
    }
}

#[test]
fn weak_hashes_are_known_by_name() {
    let names: Vec<&str> = HASHES.iter().filter_map(|(.., hash)| stored::weakness(hash)).collect();
    let weak = |name: &str| names.iter().filter(|found| **found == name).count();
    let expected = [
        ("iterated MD5", 4),
        ("a hash of an MD5", 2),
        ("md5-crypt", 5),
        ("one round of MD5", 6),
        ("one round of SHA", 6),
        ("less than a thousand rounds of SHA", 1),
        ("one round of HMAC", 1),
    ];
    for (name, count) in expected {
        assert_eq!(weak(name), count, "{name}");
    }
    assert_eq!(names.len(), expected.iter().map(|(_, count)| count).sum::<usize>(), "{names:?}");
    // What was imported before there was a switch.
    for hash in ["{SSHA}nq9U8mmaO/WxGYfpN7Z8Ufqei/FzYWx0c2FsdA==", "{SHA}FVjhJAAl3lB5Y9OJ+aISPJfHeas="] {
        assert_eq!(stored::weakness(hash), None);
    }
}

/// The forms between two headings of the documentation, up to their first variable part.
fn documented(from: &str, to: &str) -> Vec<&'static str> {
    let text = include_str!("../../../docs/OPERATIONS.md");
    let part = text.split(from).nth(1).unwrap().split(to).next().unwrap();
    let rows = part.lines().filter(|line| line.starts_with('|'));
    let forms = rows.flat_map(|row| row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2));
    forms.filter(|form| form.contains(['$', '{', ':'])).map(|form| form.split('…').next().unwrap()).collect()
}

#[test]
fn every_documented_form_has_a_vector() {
    let hashes: Vec<&str> = foreign_tests::HASHES
        .iter()
        .map(|(_, hash)| *hash)
        .chain(HASHES.iter().map(|(.., hash)| *hash))
        .collect();
    let taken = documented("### Supported password hashes", "**Weak** hashes");
    let weak = documented("**Weak** hashes", "**No password**");
    assert!(taken.len() > 35 && weak.len() > 15, "{} {}", taken.len(), weak.len());
    for (forms, is_weak) in [(taken, false), (weak, true)] {
        for form in forms {
            let vectors: Vec<_> = hashes.iter().filter(|hash| hash.starts_with(form)).collect();
            assert!(!vectors.is_empty(), "{form} has no vector");
            assert!(vectors.iter().any(|hash| stored::weakness(hash).is_some() == is_weak), "{form}");
        }
    }
}

#[test]
fn the_cost_of_iterated_digests_is_that_of_the_longest_password() {
    let work = |hash: &str| stored::Stored::parse(hash).unwrap().work().map(|work| (work.kind, work.amount));
    // 2^13 rounds of at most four blocks: cheap. 2^15 of SHA-512: expensive.
    let wordpress = "$P$Bsaltsalt2hmA/zz7oE3.oaKBFI4kt1";
    let drupal = "$S$Dsaltsaltr1cguuvyo2CY5G0xc0Orqh01iGDpy0YQAbubeI3KKuI";
    assert_eq!(work(wordpress), Some((WorkKind::Md5, 4 << 13)));
    assert_eq!(work(drupal), Some((WorkKind::Sha512, 4 << 15)));
    assert_eq!((work_of(wordpress).is_some(), work_of(drupal).is_some()), (false, true));
    assert!(work_of("$1$28772684$iEwNOgGugqO9.bIz5sk8k/").is_none());
    // The output of 389-ds is cut to one block, instead of eight.
    let ipa = HASHES.iter().find(|(source, ..)| source.starts_with("FreeIPA")).unwrap().2;
    assert_eq!(work(ipa), Some((WorkKind::Pbkdf2Sha256, 2_048)));
}

#[tokio::test]
async fn a_longer_password_than_is_counted_is_wrong() {
    let hasher = hasher();
    let hash = |password: &str| {
        let digest = digests::Digest::Md5;
        let bytes = digest.iterate(&[b"saltsalt", password.as_bytes()], 128, password.as_bytes());
        // Little-endian base64, the reverse of `decode64`.
        let alphabet = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let bits: Vec<bool> =
            bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect();
        let value = |bits: &[bool]| bits.iter().rev().fold(0, |value, bit| value << 1 | usize::from(*bit));
        let text: String = bits.chunks(6).map(|bits| char::from(alphabet[value(bits)])).collect();
        format!("$P$5saltsalt{text}")
    };
    for (length, expected) in [(231, Some(0)), (232, None)] {
        let password = "x".repeat(length);
        let stored = vec![hash(&password)];
        assert_eq!(hasher.verify(secret(&password), stored).await.unwrap(), expected, "{length} bytes");
    }
}

/// A hash with some of it replaced.
fn damaged() -> impl Strategy<Value = String> {
    let any_hash = (0..HASHES.len()).prop_map(|at| HASHES[at].2.to_owned());
    (any_hash, any::<prop::sample::Index>(), any::<prop::sample::Index>(), ".{0,12}").prop_map(
        |(hash, from, to, with)| {
            let (a, b) = (from.index(hash.len() + 1), to.index(hash.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            format!("{}{with}{}", &hash[..from], &hash[to..])
        },
    )
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panicking(text in prop_oneof![".{0,80}", "[$,={}A-Za-z0-9+/:.!*]{0,120}", damaged()]) {
        let checked = check_foreign(&text);
        let _ = (work_of(&text), is_over_the_bounds(&text), stored::weakness(&text));
        let policies = [HashPolicy::default(), HashPolicy { allow_weak: true, ..HashPolicy::default() }];
        for policy in policies {
            let imported = import_hash(&serde_json::json!(text), &policy);
            if let Ok(ImportedHash::Hash(hash)) = &imported {
                prop_assert_eq!(check_foreign(hash), Ok(()));
            }
            // A text longer than a word of the message is not part of it.
            if let Err(error) = &imported {
                prop_assert!(text.len() < 20 || !error.detail.contains(text.as_str()));
            }
        }
        // Whatever is accepted has a cost within the bounds.
        if checked.is_ok() {
            prop_assert!(!is_over_the_bounds(&text));
        }
    }
}
