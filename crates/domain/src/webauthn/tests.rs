use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::authenticator_data::AuthenticatorData;
use super::*;

const CHALLENGE: &[u8] = b"a challenge";
const ORIGIN: &str = "https://id.example.com";

#[test]
fn the_relying_party_is_the_host_of_the_public_url() {
    for (url, id, origin) in [
        ("https://id.example.com", "id.example.com", "https://id.example.com"),
        ("https://ID.Example.com:443/iam", "id.example.com", "https://id.example.com"),
        ("https://id.example.com:8443/", "id.example.com", "https://id.example.com:8443"),
        ("http://localhost:8080", "localhost", "http://localhost:8080"),
        ("http://a.localhost", "a.localhost", "http://a.localhost"),
        ("https://intranet", "intranet", "https://intranet"),
    ] {
        let party = RelyingParty::of_url(url).unwrap();
        assert_eq!((party.id(), party.origin()), (id, origin), "{url}");
    }
    for (url, no) in [
        ("http://127.0.0.1:8080", NoRelyingParty::IpAddress),
        ("https://192.0.2.7", NoRelyingParty::IpAddress),
        ("https://[2001:db8::1]:8443", NoRelyingParty::IpAddress),
        ("http://id.example.com", NoRelyingParty::Insecure),
        ("http://localhost.example.com", NoRelyingParty::Insecure),
        ("", NoRelyingParty::Insecure),
    ] {
        assert_eq!(RelyingParty::of_url(url), Err(no), "{url}");
        assert!(no.detail().contains("public-url"));
    }
}

fn party() -> RelyingParty {
    RelyingParty::of_url(ORIGIN).unwrap()
}

/// A key of an authenticator.
enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Key {
    fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn cose(&self) -> Vec<(i64, Value)> {
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                vec![
                    (1, 2.into()),
                    (3, (-7).into()),
                    (-1, 1.into()),
                    (-2, bytes(&point[1..33])),
                    (-3, bytes(&point[33..])),
                ]
            }
            Self::EdDsa(pair) => {
                vec![(1, 1.into()), (3, (-8).into()), (-1, 6.into()), (-2, bytes(pair.public_key().as_ref()))]
            }
            Self::Rs256(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                vec![(1, 3.into()), (3, (-257).into()), (-1, bytes(n)), (-2, bytes(e))]
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn map(members: &[(i64, Value)]) -> Vec<u8> {
    cbor(&Value::Map(members.iter().map(|(label, value)| ((*label).into(), value.clone())).collect()))
}

/// What an authenticator says; each test changes a part.
#[derive(Clone)]
struct Said {
    ceremony: &'static str,
    challenge: Vec<u8>,
    origin: &'static str,
    more: &'static str,
    rp_id: &'static str,
    flags: u8,
    count: u32,
    id: Vec<u8>,
    handle: Option<&'static str>,
}

impl Said {
    fn of(ceremony: &'static str) -> Self {
        Self {
            ceremony,
            challenge: CHALLENGE.to_vec(),
            origin: ORIGIN,
            more: ",\"crossOrigin\":false",
            rp_id: "id.example.com",
            flags: 0b101,
            count: 1,
            id: vec![7; 16],
            handle: Some("aGFuZGxl"),
        }
    }

    fn client_data(&self) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(&self.challenge);
        let Self { ceremony, origin, more, .. } = self;
        format!("{{\"type\":\"{ceremony}\",\"challenge\":\"{challenge}\",\"origin\":\"{origin}\"{more}}}")
    }

    fn data(&self, behind: &[u8], flags: u8) -> Vec<u8> {
        let hash = Sha256::digest(self.rp_id);
        [&hash[..], &[self.flags | flags], &self.count.to_be_bytes(), behind].concat()
    }

    fn create(&self, cose: &[u8]) -> RegistrationResponse {
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let data = self.data(&[&[0; 16], &length[..], &self.id, cose].concat(), 1 << 6);
        let object = Value::Map(vec![
            ("fmt".into(), "none".into()),
            ("attStmt".into(), Value::Map(Vec::new())),
            ("authData".into(), Value::Bytes(data)),
        ]);
        self.created(&cbor(&object))
    }

    fn created(&self, object: &[u8]) -> RegistrationResponse {
        let response = json!({
            "rawId": URL_SAFE_NO_PAD.encode(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(self.client_data()),
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
                "transports": ["internal", "hybrid", "\"><script>"],
            },
        });
        RegistrationResponse::parse(&response.to_string()).unwrap()
    }

    fn get(&self, key: &Key) -> AssertionResponse {
        let (data, client_data) = (self.data(&[], 0), self.client_data());
        let signature = key.sign(&[&data[..], &Sha256::digest(&client_data)[..]].concat());
        let response = json!({
            "rawId": URL_SAFE_NO_PAD.encode(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": self.handle,
            },
        });
        AssertionResponse::parse(&response.to_string()).unwrap()
    }
}

fn register(said: &Said, cose: &[u8]) -> Result<Registration, CeremonyError> {
    party().verify_registration(&said.create(cose), CHALLENGE)
}

fn verify(said: &Said, key: &Key, of: &Registration, count: i64) -> Result<Assertion, CeremonyError> {
    let stored = StoredCredential {
        credential_id: &of.credential_id,
        user_handle: "aGFuZGxl",
        public_key: &of.public_key,
        sign_count: count,
        is_backup_eligible: of.is_backup_eligible,
    };
    party().verify_assertion(&said.get(key), CHALLENGE, &stored)
}

#[test]
fn keys_of_each_offered_algorithm_are_registered_and_verified() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let keys = [Key::es256(), Key::EdDsa(Ed25519KeyPair::generate().unwrap()), Key::Rs256(rsa)];
    for (key, alg) in keys.iter().zip(ALGORITHMS) {
        let cose = key.cose();
        assert!(cose.contains(&(3, alg.into())));
        let registration = register(&Said::of("webauthn.create"), &map(&cose)).unwrap();
        assert_eq!(registration.transports, ["hybrid", "internal"], "those that the standard names");
        let assertion = verify(&Said::of("webauthn.get"), key, &registration, 0).unwrap();
        let expected = Assertion { sign_count: 1, is_user_verified: true, is_backed_up: false };
        assert_eq!(assertion, expected);
        let other = verify(&Said::of("webauthn.get"), &Key::es256(), &registration, 0);
        assert_eq!(other, Err(CeremonyError::WrongSignature));
    }
}

type Change = fn(&mut Said);

const BOTH: &[(Change, CeremonyError)] = &[
    (|said| said.challenge = b"another".to_vec(), CeremonyError::WrongChallenge),
    (|said| said.origin = "https://login.id.example.com", CeremonyError::WrongOrigin),
    (|said| said.origin = "https://id.example.com.evil.net", CeremonyError::WrongOrigin),
    (|said| said.origin = "https://id.example.com:8443", CeremonyError::WrongOrigin),
    (|said| said.origin = "http://id.example.com", CeremonyError::WrongOrigin),
    (|said| said.origin = "https://id.example.com/", CeremonyError::WrongOrigin),
    (|said| said.more = ",\"crossOrigin\":true", CeremonyError::CrossOrigin),
    (|said| said.more = ",\"topOrigin\":\"https://evil.example\"", CeremonyError::CrossOrigin),
    (|said| said.more = ",\"type\":\"webauthn.get\"", CeremonyError::Malformed),
    (|said| said.more = ",\"origin\":\"https://id.example.com\"", CeremonyError::Malformed),
    (|said| said.rp_id = "example.com", CeremonyError::WrongRelyingParty),
    (|said| said.rp_id = "evil.example", CeremonyError::WrongRelyingParty),
    (|said| said.flags = 0b100, CeremonyError::UserNotPresent),
    // A backup of what cannot have one.
    (|said| said.flags |= 1 << 4, CeremonyError::Malformed),
    // Extensions that are not there.
    (|said| said.flags |= 1 << 7, CeremonyError::Malformed),
];

#[test]
fn what_is_not_for_this_server_is_refused() {
    let key = Key::es256();
    let cose = map(&key.cose());
    let registration = register(&Said::of("webauthn.create"), &cose).unwrap();
    for (at, (change, error)) in BOTH.iter().enumerate() {
        let mut said = Said::of("webauthn.create");
        change(&mut said);
        assert_eq!(register(&said, &cose).as_ref(), Err(error), "{at}");
        let mut said = Said::of("webauthn.get");
        change(&mut said);
        assert_eq!(verify(&said, &key, &registration, 0).as_ref(), Err(error), "{at}");
    }
    assert_eq!(register(&Said::of("webauthn.get"), &cose), Err(CeremonyError::WrongType));
    let wrong = verify(&Said::of("webauthn.create"), &key, &registration, 0);
    assert_eq!(wrong, Err(CeremonyError::WrongType));
    let with = |change: Change| {
        let mut said = Said::of("webauthn.get");
        change(&mut said);
        verify(&said, &key, &registration, 5)
    };
    assert_eq!(with(|said| said.id = vec![8; 16]), Err(CeremonyError::WrongCredential));
    assert_eq!(with(|said| said.handle = Some("b3RoZXI")), Err(CeremonyError::WrongCredential));
    assert_eq!(with(|said| said.flags |= 1 << 3), Err(CeremonyError::BackupEligibilityChanged));
    assert_eq!(with(|said| said.count = 5), Err(CeremonyError::CounterRegression));
    assert_eq!(with(|said| said.count = 4), Err(CeremonyError::CounterRegression));
    assert_eq!(with(|said| said.count = 0), Err(CeremonyError::CounterRegression));
    assert_eq!(with(|said| said.count = 6).map(|assertion| assertion.sign_count), Ok(6));
    let unverified = with(|said| (said.count, said.flags) = (6, 1));
    assert_eq!(unverified.map(|assertion| assertion.is_user_verified), Ok(false));
    // Without a handle, whoever asks for one checks it; one that does not count stays at 0.
    let mut said = Said::of("webauthn.get");
    (said.handle, said.count) = (None, 0);
    assert!(!said.get(&key).names_user());
    verify(&said, &key, &registration, 0).unwrap();
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let good = Key::es256().cose();
    let with = |label: i64, value: Value| {
        let mut cose = good.clone();
        cose.iter_mut().filter(|(known, _)| *known == label).for_each(|(_, v)| *v = value.clone());
        map(&cose)
    };
    let twice = [&good[..], &[(3, Value::from(-7))]].concat();
    for (at, cose) in [
        with(3, (-35).into()),
        with(3, (-8).into()),
        with(1, 3.into()),
        with(-1, 2.into()),
        with(-2, Value::Bytes(vec![1; 32])),
        with(-2, Value::Bytes(vec![1; 31])),
        with(-3, Value::Bytes(Vec::new())),
        with(-3, Value::Null),
        map(&[]),
        map(&[
            (1, 3.into()),
            (3, (-257).into()),
            (-1, Value::Bytes(vec![1; 128])),
            (-2, Value::Bytes(vec![3])),
        ]),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = register(&Said::of("webauthn.create"), &cose);
        assert_eq!(refused, Err(CeremonyError::UnusableKey), "{at}");
    }
    assert_eq!(register(&Said::of("webauthn.create"), &map(&twice)), Err(CeremonyError::Malformed));
}

#[test]
fn malformed_answers_are_refused_whatever_they_are() {
    let key = Key::es256();
    let said = Said::of("webauthn.create");
    let good = said.create(&map(&key.cose()));
    party().verify_registration(&good, CHALLENGE).unwrap();
    let length = 16_u16.to_be_bytes();
    let data = said.data(&[&[0; 16], &length[..], &said.id, &map(&key.cose())].concat(), 1 << 6);
    assert!(AuthenticatorData::parse(&data).is_some());
    for end in 0..data.len() {
        assert_eq!(AuthenticatorData::parse(&data[..end]), None, "{end} bytes");
    }
    assert_eq!(AuthenticatorData::parse(&[&data[..], &[0]].concat()), None, "a byte more");
    let nested = [&[0x81; 300][..], &[0]].concat();
    let huge = [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for object in [&[][..], &[0xa0], &[0xff], b"text", &nested, &huge, &[0xbf, 0xff]] {
        let refused = party().verify_registration(&said.created(object), CHALLENGE);
        assert_eq!(refused, Err(CeremonyError::Malformed));
    }
    for json in ["", "null", "{}", "[]", "{\"rawId\":\"\"}", "{\"rawId\":1,\"response\":{}}"] {
        assert!(RegistrationResponse::parse(json).is_none() && AssertionResponse::parse(json).is_none());
    }
}
