use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

type Served = StreamOwned<ServerConnection, std::net::TcpStream>;

/// An authority that signs certificates for tests.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Not the name that certificates get: they would be taken for self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let secret = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        Arc::new(config)
    }

    /// A wish that trusts this authority alone, read from a file as users have it.
    fn wish(&self, name: &str) -> Wish {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("slotwise-ca-{}-{number}.pem", std::process::id()));
        std::fs::write(&path, self.0.pem()).unwrap();
        let config = Files { ca: Some(path.clone()), ..Files::default() }.config().unwrap();
        std::fs::remove_file(path).unwrap();
        let setup = Setup { config: Some(config), names: None };
        setup.to("announced.example", 1, name).unwrap()
    }
}

/// A client's stream, before its handshake, and the thread that serves it.
fn pair<T: Send + 'static>(
    wish: &Wish,
    server: Arc<ServerConfig>,
    serve: impl FnOnce(Served) -> T + Send + 'static,
) -> (TlsStream, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        serve(StreamOwned::new(ServerConnection::new(server).unwrap(), tcp))
    });
    let tcp = TcpStream::connect(addr).unwrap();
    (TlsStream::new(wish, tcp).unwrap(), thread)
}

/// Goes on until there is a result that is none of "not now".
fn patiently<T>(mut step: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(result) = step() {
            return result;
        }
        assert!(Instant::now() < until, "stuck");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn secure(stream: &mut TlsStream) -> Result<(), String> {
    patiently(|| match stream.secure() {
        // The socket may not be connected yet.
        Err(why) if why.contains("not connected") => None,
        Ok(false) => None,
        done => Some(done.map(drop)),
    })
}

#[test]
fn bytes_pass_both_ways_however_the_socket_stalls() {
    const LEN: usize = 32 << 20;
    let authority = Authority::new();
    let wish = authority.wish("localhost");
    let (stalled, until_stalled) = std::sync::mpsc::channel();
    let (mut stream, server) = pair(&wish, authority.server("localhost"), move |mut served| {
        served.conn.complete_io(&mut served.sock).unwrap();
        until_stalled.recv_timeout(Duration::from_secs(30)).expect("the client's writes always find room");
        let mut got = vec![0; LEN];
        served.read_exact(&mut got).unwrap();
        served.write_all(&got).unwrap();
        served.flush().unwrap();
        got
    });
    secure(&mut stream).unwrap();
    let sent: Vec<u8> = (0..LEN).map(|at| (at / 7 + at % 251) as u8).collect();
    let (mut at, mut full) = (0, 0);
    patiently(|| {
        match stream.write(&sent[at..]) {
            Ok(n) => at += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                full += 1;
                if full == 1 {
                    stalled.send(()).unwrap();
                }
            }
        }
        (at == LEN && stream.push().unwrap()).then_some(())
    });
    assert!(full > 0, "the socket never stalled: nothing is shown");
    let (mut back, mut at) = (vec![0; LEN], 0);
    patiently(|| {
        match stream.read(&mut back[at..]) {
            Ok(n) => at += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            }
        }
        (at == LEN).then_some(())
    });
    assert!(back == sent && server.join().unwrap() == sent);
}

#[test]
fn only_the_right_name_of_a_trusted_authority_will_do() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (wish, server, refused) in [
        (authority.wish("10.1.2.3"), authority.server("10.1.2.3"), None),
        (authority.wish("node.example"), authority.server("node.example"), None),
        (authority.wish("node.example"), authority.server("other.example"), Some("not valid for name")),
        (authority.wish("10.1.2.3"), authority.server("10.1.2.4"), Some("not valid for name")),
        (other.wish("node.example"), authority.server("node.example"), Some("invalid peer certificate")),
    ] {
        let (mut stream, server) = pair(&wish, server, |mut served| {
            let mut got = Vec::new();
            let _ = served.read_to_end(&mut got);
            got
        });
        let secured = secure(&mut stream);
        match refused {
            None => {
                secured.unwrap();
                patiently(|| stream.write(b"PING").ok());
            }
            Some(why) => assert!(secured.as_ref().is_err_and(|text| text.contains(why)), "{secured:?}"),
        }
        drop(stream);
        let expected: &[u8] = if refused.is_none() { b"PING" } else { b"" };
        assert_eq!(server.join().unwrap(), expected);
    }
}

#[test]
fn the_caller_names_the_certificate() {
    let names: Names = Arc::new(|host, port| (host == "10.0.0.1").then(|| format!("node{port}.example")));
    let setup = Setup { config: Some(Files::default_for_tests()), names: Some(names) };
    assert_eq!(setup.to("10.0.0.1", 7, "10.0.0.1").unwrap().name, "node7.example");
    assert_eq!(setup.to("10.0.0.2", 7, "told.example").unwrap().name, "told.example");
    assert!(Setup::default().to("10.0.0.1", 7, "10.0.0.1").is_none(), "plain TCP");
}

impl Files {
    fn default_for_tests() -> Arc<ClientConfig> {
        Arc::clone(&Authority::new().wish("any.example").config)
    }
}

#[test]
fn what_is_no_name_is_refused_before_a_byte() {
    let wish = Wish { config: Files::default_for_tests(), name: "two words".to_owned() };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert!(TlsStream::new(&wish, tcp).unwrap_err().contains("\"two words\""));
}

#[test]
fn a_cut_is_an_end_and_what_came_before_it_is_read() {
    let authority = Authority::new();
    for polite in [true, false] {
        let (mut stream, server) =
            pair(&authority.wish("localhost"), authority.server("localhost"), move |mut served| {
                served.write_all(b"+OK\r\n").unwrap();
                served.flush().unwrap();
                if polite {
                    served.conn.send_close_notify();
                    served.flush().unwrap();
                }
            });
        secure(&mut stream).unwrap();
        let mut got = Vec::new();
        let mut room = [0; 64];
        patiently(|| match stream.read(&mut room) {
            Ok(0) => Some(()),
            Ok(n) => {
                got.extend_from_slice(&room[..n]);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        });
        assert_eq!(got, b"+OK\r\n");
        server.join().unwrap();
    }
}

#[test]
fn a_peer_without_tls_is_told_from_one_that_hangs_up() {
    let authority = Authority::new();
    for (answer, why) in [(&b"-ERR unknown command\r\n"[..], "corrupt message"), (b"", "closed during")] {
        let (mut stream, server) = pair(&authority.wish("localhost"), authority.server("localhost"), move |served| {
            let (_, mut tcp) = served.into_parts();
            let mut hello = [0; 16];
            tcp.read_exact(&mut hello).unwrap();
            tcp.write_all(answer).unwrap();
            if answer.is_empty() {
                tcp.shutdown(std::net::Shutdown::Write).unwrap();
            }
            let _ = tcp.read_to_end(&mut Vec::new());
        });
        let text = secure(&mut stream).unwrap_err();
        assert!(text.contains(why), "{text}");
        drop(stream);
        server.join().unwrap();
    }
}

#[test]
fn unusable_files_are_named() {
    let here = std::env::temp_dir().join(format!("slotwise-nothing-{}.pem", std::process::id()));
    std::fs::write(&here, "nothing").unwrap();
    let told = |files: Files| files.config().unwrap_err().to_string();
    let missing = told(Files { ca: Some("/no/such.pem".into()), ..Files::default() });
    assert!(missing.starts_with("/no/such.pem: "), "{missing}");
    let empty = told(Files { ca: Some(here.clone()), ..Files::default() });
    assert!(empty.ends_with("no certificate in it"), "{empty}");
    std::fs::write(&here, Authority::new().0.pem()).unwrap();
    let half = told(Files { ca: Some(here.clone()), cert: Some(here.clone()), key: None });
    assert!(half.contains("go together"), "{half}");
    let no_key = told(Files { ca: Some(here.clone()), cert: Some(here.clone()), key: Some(here.clone()) });
    assert!(no_key.starts_with(&here.display().to_string()), "{no_key}");
    std::fs::remove_file(here).unwrap();
}
