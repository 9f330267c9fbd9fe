//! The server's certificate. In: two PEM files; out: a TLS configuration (1.2 and 1.3, HTTP/1.1 by ALPN) over the certificate that stands in
//! them, which can be read again while the server runs. Asks clients for no certificate. Specification: RFC 8446, RFC 7468, RFC 7301.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig, crypto};
use tokio_rustls::TlsAcceptor;

/// Everybody may read the file.
const WORLD_READABLE: u32 = 0o004;
/// Longest file that is read.
const PEM_BYTES: u64 = 1 << 20;

/// Why a certificate is not served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("{key} {}: {source}", path.display())]
    Unreadable {
        /// Its key in the configuration.
        key: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{key} {}: {wanted}", path.display())]
    NotThere {
        /// Its key in the configuration.
        key: &'static str,
        /// Its path.
        path: PathBuf,
        /// What should stand in it.
        wanted: &'static str,
    },
    /// The key is of another certificate.
    #[error("http.tls_key {}: does not belong to the certificate in {}, of which the server's own comes first", key.display(), certificate.display())]
    Mismatch {
        /// Path of the key.
        key: PathBuf,
        /// Path of the certificate.
        certificate: PathBuf,
    },
    /// rustls does not take them.
    #[error("http.tls_cert {}: cannot be served: {source}", path.display())]
    Refused {
        /// Path of the certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// Where the certificate comes from, and the one that is served.
#[derive(Debug)]
pub struct ServerCertificate {
    certificate: PathBuf,
    key: PathBuf,
    served: RwLock<Arc<CertifiedKey>>,
}

impl ServerCertificate {
    /// Reads both files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let served = RwLock::new(Arc::new(certified(certificate, key)?));
        Ok(Arc::new(Self { certificate: certificate.into(), key: key.into(), served }))
    }

    /// Reads them again; the former certificate stays in use when that fails. True when it is another one.
    pub fn renew(&self) -> Result<bool, CertificateError> {
        let read = Arc::new(certified(&self.certificate, &self.key)?);
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = served.cert != read.cert;
        *served = read;
        Ok(is_other)
    }

    pub(super) fn acceptor(self: Arc<Self>) -> Result<TlsAcceptor, rustls::Error> {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn certified(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(&bytes("http.tls_cert", certificate)?).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if chain.is_empty() {
        let wanted = "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
        return Err(CertificateError::NotThere { key: "http.tls_cert", path: certificate.into(), wanted });
    }
    let private = PrivateKeyDer::from_pem_slice(&bytes("http.tls_key", key)?).map_err(|_| CertificateError::NotThere {
        key: "http.tls_key",
        path: key.into(),
        wanted: "holds no private key in PEM without a passphrase (-----BEGIN PRIVATE KEY-----)",
    })?;
    warn_of_open_key(key);
    CertifiedKey::from_der(chain, private, &crypto::ring::default_provider()).map_err(|source| match source {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            CertificateError::Mismatch { key: key.into(), certificate: certificate.into() }
        }
        source => CertificateError::Refused { path: certificate.into(), source },
    })
}

fn bytes(key: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| std::io::Read::read_to_end(&mut std::io::Read::take(file, PEM_BYTES), &mut bytes));
    read.map(|_| bytes).map_err(|source| CertificateError::Unreadable { key, path: path.into(), source })
}

fn warn_of_open_key(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & WORLD_READABLE != 0 {
        tracing::warn!(path = %path.display(), "Every user of this host can read the TLS key; take that right away (chmod o-r).");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("tests/certificates/server.pem");
    const KEY: &str = include_str!("tests/certificates/server.key");
    const OTHER: [&str; 2] = [include_str!("tests/certificates/other.pem"), include_str!("tests/certificates/other.key")];

    #[test]
    fn wrong_files_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let refusal = |first: &str, second: &str| {
            std::fs::write(&certificate, first).unwrap();
            std::fs::write(&key, second).unwrap();
            ServerCertificate::read(&certificate, &key).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(refusal(CERTIFICATE, KEY), Ok(()));
        for (first, second, wanted) in [
            ("", KEY, "no certificate"),
            (KEY, CERTIFICATE, "no certificate"),
            (CERTIFICATE, "", "no private key"),
            (CERTIFICATE, CERTIFICATE, "no private key"),
            (CERTIFICATE, OTHER[1], "does not belong"),
            (&CERTIFICATE[..200], KEY, "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", KEY, "http.tls_cert"),
        ] {
            let said = refusal(first, second).unwrap_err();
            assert!(said.contains(wanted) && said.contains(".pem"), "{said}");
        }
        std::fs::remove_file(&key).unwrap();
        assert!(ServerCertificate::read(&certificate, &key).unwrap_err().to_string().contains("http.tls_key"));
    }

    #[test]
    fn a_certificate_is_renewed_and_a_wrong_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let write = |first: &str, second: &str| {
            std::fs::write(&certificate, first).unwrap();
            std::fs::write(&key, second).unwrap();
        };
        write(CERTIFICATE, KEY);
        let served = ServerCertificate::read(&certificate, &key).unwrap();
        let shown = || served.served.read().unwrap().cert.clone();
        let first = shown();
        assert!(!served.renew().unwrap());
        write(OTHER[0], KEY);
        assert!(served.renew().is_err());
        assert_eq!(shown(), first);
        write(OTHER[0], OTHER[1]);
        assert!(served.renew().unwrap());
        assert_ne!(shown(), first);
    }
}
