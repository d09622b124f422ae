//! TLS to other servers, PostgreSQL and mail relays: which certificates a connection accepts.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The authorities that a connection trusts.
#[derive(Debug, Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    /// The certificates of a file. One that the server itself presents is trusted: a self-signed certificate is its own
    /// authority, but the verifier of chains does not accept one as a server's.
    given: Arc<[CertificateDer<'static>]>,
}

impl Authorities {
    /// The public authorities (those of Mozilla, which are part of the program).
    pub fn public() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self { roots: Arc::new(roots), given: Arc::new([]) }
    }

    /// Those of a PEM file, in place of the public ones.
    ///
    /// # Errors
    /// The file cannot be read or has no certificates; names the file.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let wrong =
            |e: &dyn std::fmt::Display| format!("{} contains no readable certificates: {e}", path.display());
        let (mut roots, mut given) = (RootCertStore::empty(), Vec::new());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))? {
            let certificate = certificate.map_err(|e| wrong(&e))?;
            roots.add(certificate.clone()).map_err(|e| wrong(&e))?;
            given.push(certificate);
        }
        if roots.is_empty() {
            return Err(wrong(&"it has none in PEM (-----BEGIN CERTIFICATE-----)"));
        }
        Ok(Self { roots: Arc::new(roots), given: given.into() })
    }
}

/// What is verified of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// That an authority signed it, and that it is for the server's name.
    Full,
    /// That an authority signed it.
    Chain,
    /// Nothing: the connection is encrypted, to whoever it is (RFC 7435). [`Finding`] has what was wrong.
    Nothing,
}

/// Why a certificate that was accepted regardless could not be verified.
#[derive(Debug, Clone, Default)]
pub struct Finding(Arc<Mutex<Option<rustls::Error>>>);

impl Finding {
    /// The error of the last handshake, if there was one.
    pub fn get(&self) -> Option<rustls::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, error: Option<rustls::Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// The settings of a TLS client.
///
/// # Errors
/// TLS cannot be set up.
pub fn client(authorities: &Authorities, verify: Verify) -> Result<(ClientConfig, Finding), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let finding = Finding::default();
    let verifier = Verifier::new(authorities, verify, &provider, &finding);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((config, finding))
}

/// What is wrong with a certificate and how to fix it, if `error` is about one. `ca_setting` names authorities.
pub fn certificate_problem(error: &rustls::Error, ca_setting: &str) -> Option<String> {
    let rustls::Error::InvalidCertificate(problem) = error else { return None };
    Some(match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "its certificate is signed by an authority that is not trusted; set {ca_setting} to a PEM file with the \
             certificate of that authority"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => String::from(
            "its certificate has expired; renew it, or set this machine's clock if that is wrong",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            String::from("its certificate is not valid yet; check this machine's clock")
        }
        CertificateError::NotValidForName => {
            String::from("its certificate is for another name; use a name that is in the certificate")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() {
                String::from("and has no subjectAltName")
            } else {
                format!("but for {}", presented.join(", "))
            };
            format!(
                "its certificate is not for {}, {names}; use a name that is in the certificate",
                expected.to_str()
            )
        }
        other => {
            format!("its certificate is refused ({other}); if it is self-signed, set {ca_setting} to it")
        }
    })
}

#[derive(Debug)]
struct Verifier {
    authorities: Authorities,
    verify: Verify,
    algorithms: WebPkiSupportedAlgorithms,
    finding: Finding,
}

impl Verifier {
    fn new(authorities: &Authorities, verify: Verify, provider: &CryptoProvider, finding: &Finding) -> Self {
        Self {
            authorities: authorities.clone(),
            verify,
            algorithms: provider.signature_verification_algorithms,
            finding: finding.clone(),
        }
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !self.authorities.given.contains(end_entity) {
            let algorithms = self.algorithms.all;
            let roots = &self.authorities.roots;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        match self.verify {
            Verify::Chain => Ok(()),
            Verify::Full | Verify::Nothing => verify_server_name(&certificate, name),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.check(end_entity, intermediates, server_name, now);
        if self.verify == Verify::Nothing {
            self.finding.set(checked.err());
        } else {
            checked?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
