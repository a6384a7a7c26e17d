//! Which certificates TLS trusts: the system's certificate authorities, and those in a file of the operator.
//! Certificates are always checked.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, RootCertStore};

use crate::room::RoomError;

pub fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, RoomError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "a certificate of the system was not read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(file) = ca_file {
        add_file(file, &mut roots)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(RoomError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Returns the error's text, with a hint if the certificate is not trusted.
pub fn explained(error: &io::Error) -> String {
    let is_untrusted = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>())
        .is_some_and(|tls| matches!(tls, TlsError::InvalidCertificate(_)));
    match is_untrusted {
        true => format!("{error} (certificate authorities of your own go into EGRESSD_LIVEKIT_CA_FILE)"),
        false => error.to_string(),
    }
}

/// Returns whether TLS caused the error: a server answered, but it is not trusted.
pub fn is_tls_fault(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TlsError>() {
            return true;
        }
        // The error inside of an I/O error is not among its sources.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is_some_and(|inner| is_tls_fault(inner)) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn add_file(file: &Path, roots: &mut RootCertStore) -> Result<(), RoomError> {
    let unusable = |reason: String| RoomError::CaFile { file: file.to_owned(), reason };
    let certificates: Vec<CertificateDer> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate in PEM".into()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(contents: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, contents).unwrap();
        let Err(error) = connector(Some(&file)) else { panic!("{contents:?} was taken") };
        error.to_string()
    }

    #[test]
    fn a_fault_of_tls_is_found_wherever_it_is_wrapped() {
        let untrusted = || TlsError::General("not trusted".into());
        let wrapped = io::Error::other(io::Error::other(untrusted()));
        assert!(is_tls_fault(&untrusted()) && is_tls_fault(&wrapped));
        assert!(is_tls_fault(&RoomError::Tls(untrusted())));
        assert!(!is_tls_fault(&io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused))));
    }

    #[test]
    fn a_file_that_is_not_there_or_holds_no_certificate_is_an_error_that_names_it() {
        assert!(connector(None).is_ok());
        let Err(error) = connector(Some(Path::new("/nowhere/ca.pem"))) else { panic!("it was taken") };
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
        assert!(error_of("").contains("ca.pem"));
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(error_of(not_der).contains("ca.pem"));
    }
}
