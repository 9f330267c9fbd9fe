//! The server over TLS and over a unix socket, with clients of their own.
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const CERTIFICATE: &[u8] = include_bytes!("certificates/server.pem");

fn certificate(folder: &tempfile::TempDir) -> Arc<ServerCertificate> {
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, CERTIFICATE).unwrap();
    std::fs::write(&key, include_bytes!("certificates/server.key")).unwrap();
    ServerCertificate::read(&certificate, &key).unwrap()
}

/// A server that speaks TLS at the address.
fn tls_server(server: &Server) -> std::net::SocketAddr {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = ListeningSocket::tcp(listener, Some(certificate(&folder))).unwrap();
    tokio::spawn(serve(vec![socket], server.state.clone()));
    address
}

fn connector(protocols: &[&str]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let mut config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer that resets after its answer has answered.
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("no end").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn it_speaks_tls_with_http_1_1() {
    let server = server();
    let address = tls_server(&server);
    let name = ServerName::try_from("localhost").unwrap();
    for protocols in [&["h2", "http/1.1"][..], &[]] {
        let stream = connector(protocols).connect(name.clone(), TcpStream::connect(address).await.unwrap()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), protocols.last().map(|name| name.as_bytes()));
        let text = answer(stream, &get("/api/v1/summary")).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\"window_s\""), "{text}");
    }
    let error = connector(&["h2"]).connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("protocol"), "{error}");
}

#[tokio::test]
async fn clear_text_where_tls_is_spoken_is_refused_and_says_why() {
    let server = server();
    let address = tls_server(&server);
    for path in ["/", "/healthz", "/api/v1/records"] {
        let text = answer(TcpStream::connect(address).await.unwrap(), &get(path)).await;
        assert!(text.starts_with("HTTP/1.1 400 ") && text.contains("https_required") && text.contains("https://"), "{path}: {text}");
    }
    assert_eq!(answer(TcpStream::connect(address).await.unwrap(), "\x16garbage that is no ClientHello").await.find("HTTP"), None);
}

#[tokio::test]
async fn a_large_answer_passes_whole() {
    let server = server_with(wire::busy(2_000, 0), "127.0.0.1:9911", None, true);
    let address = tls_server(&server);
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector(&[]).connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
    let text = answer(stream, &get("/api/v1/endpoints?limit=1000")).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with('}') && text.len() > 200_000, "{} bytes", text.len());
}

#[tokio::test]
async fn handshakes_that_stall_hold_up_nobody_else() {
    let server = server();
    let address = tls_server(&server);
    let mut silent = Vec::new();
    for opening in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"].into_iter().cycle().take(9) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(opening).await.unwrap();
        silent.push(stream);
    }
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector(&[]).connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
    assert!(answer(stream, &get("/healthz")).await.starts_with("HTTP/1.1 200 OK\r\n"));
    // The deadline of a request is that of a handshake too.
    let ended = tokio::time::timeout(PATIENCE, silent[2].read(&mut [0; 8])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

#[tokio::test]
async fn the_user_of_a_unix_socket_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut server = server();
    // Whoever runs the tests is no admitted user of this server.
    let own = rustix::process::geteuid().as_raw();
    let mut state = Arc::into_inner(server.state).unwrap();
    state.parts.access = Access::new(true, &[], None);
    server.state = Arc::new(state);
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(serve(vec![ListeningSocket::unix(listener).unwrap()], server.state.clone()));
    assert!(answer(UnixStream::connect(&path).await.unwrap(), &get("/healthz")).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let refused = answer(UnixStream::connect(&path).await.unwrap(), &get("/api/v1/records")).await;
    assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains(&format!("uid {own}")), "{refused}");
}
