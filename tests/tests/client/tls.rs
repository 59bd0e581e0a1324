//! The same client over TLS: clusters of servers that take it, with certificates made for each test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use slotwise_std::tls::Files;
use slotwise_std::{Batch, Client, Error, Event, Subscriber};
use slotwise_tests::real::{Cluster, ClusterOptions, ServerKind};

/// An authority with its files, which go when it is dropped.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(label: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Not the name that certificates get: they would be taken for self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = std::env::temp_dir().join(format!("slotwise-tls-{label}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    /// Files of a certificate for a name and its key.
    fn certify(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let [cert, secret] = ["cert", "key"].map(|kind| self.dir.join(format!("{name}.{kind}.pem")));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        (cert, secret)
    }

    fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    fn files(&self) -> Files {
        Files { ca: Some(self.ca()), ..Files::default() }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Three nodes that carry a certificate for `name`; `clients` says whether clients have to show one too.
fn start(kind: ServerKind, authority: &Authority, name: &str, clients: &str) -> Option<(Cluster, String)> {
    let (cert, key) = authority.certify(name);
    let file = |directive: &str, path: &Path| format!("{directive} {}", path.display());
    let options = ClusterOptions::new(kind, 3, 0)
        .line("tls-port {port}")
        .line("tls-cluster yes")
        .line(&format!("tls-auth-clients {clients}"))
        .line(&file("tls-ca-cert-file", &authority.ca()))
        .line(&file("tls-cert-file", &cert))
        .line(&file("tls-key-file", &key));
    let cluster = options.start()?;
    let seeds: Vec<String> = (0..3).map(|node| format!("127.0.0.1:{}", tls_port(&cluster, node))).collect();
    let url = format!("rediss://{}", seeds.join(","));
    Some((cluster, url))
}

fn tls_port(cluster: &Cluster, node: usize) -> u16 {
    let reply = cluster.admin().ask(node, &["CONFIG", "GET", "tls-port"]).unwrap();
    let port = reply.items().last().and_then(|item| item.text().parse().ok());
    port.unwrap_or_else(|| panic!("no TLS port: {reply:?}"))
}

fn each(label: &str, name: &str, clients: &str, test: impl Fn(&Authority, &Cluster, &str)) {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let authority = Authority::new(&format!("{label}-{kind:?}"));
        let Some((cluster, url)) = start(kind, &authority, name, clients) else { continue };
        test(&authority, &cluster, &url);
    }
}

#[test]
fn commands_redirects_and_large_values_pass() {
    each("pass", "127.0.0.1", "no", |authority, cluster, url| {
        let builder = Client::builder(url).unwrap().tls(authority.files().config().unwrap());
        let mut client = builder.connect().unwrap();
        // Slots go away under the client: redirects name TLS ports. (MIGRATE would go over TLS too: they go empty.)
        for slot in (0..16_384).step_by(1_600) {
            cluster.admin().move_slot(slot, (slot as usize * 3 / 16_384 + 1) % 3).unwrap();
        }
        let mut batch = Batch::new();
        for key in 0..2_000 {
            batch.push(&["SET", &format!("k{key}"), &format!("v{key}")]);
        }
        let big = vec![b'x'; 3 << 20];
        batch.push(&[&b"SET"[..], b"big", &big]);
        for result in client.run(&batch).unwrap().iter() {
            result.unwrap();
        }
        let mut batch = Batch::new();
        for key in 0..2_000 {
            batch.push(&["GET", &format!("k{key}")]);
        }
        for (key, result) in client.run(&batch).unwrap().iter().enumerate() {
            assert_eq!(result.unwrap().as_bytes(), Some(format!("v{key}").as_bytes()));
        }
        assert_eq!(client.command(&["GET", "big"]).unwrap().as_bytes(), Some(&big[..]));
        let secure: Vec<String> = (0..3).map(|node| format!("127.0.0.1:{}", tls_port(cluster, node))).collect();
        for (addr, _) in client.dialled() {
            assert!(secure.iter().any(|port| port == addr), "{addr} takes no TLS");
        }
        client.close().unwrap();
    });
}

#[test]
fn subscriptions_pass() {
    each("subscribe", "127.0.0.1", "no", |authority, _, url| {
        let builder = || Client::builder(url).unwrap().tls(authority.files().config().unwrap());
        let mut client = builder().connect().unwrap();
        let mut subscriber = Subscriber::with(builder()).unwrap();
        subscriber.ssubscribe(b"{a}news");
        let mut next = || subscriber.next(Duration::from_secs(10)).unwrap().expect("nothing came");
        assert!(matches!(next(), Event::Subscribed { .. }));
        client.spublish(b"{a}news", b"hello").unwrap();
        assert!(matches!(next(), Event::Message(message) if message.payload == b"hello"));
    });
}

/// What connecting came to, which must have failed.
fn refusal(builder: slotwise_std::Builder) -> String {
    let error = builder.connect().expect_err("a connection was made");
    assert!(matches!(error, Error::NoCluster { .. }), "{error}");
    error.to_string()
}

#[test]
fn nobody_else_is_talked_to() {
    each("refuse", "redis.example", "no", |authority, cluster, url| {
        let other = Authority::new("other");
        let builder = |authority: &Authority| {
            let url = url.replace("rediss://", "rediss://:c4nary@");
            Client::builder(&url).unwrap().tls(authority.files().config().unwrap())
        };
        // The right authority, and another name than the nodes' hosts.
        let text = refusal(builder(authority));
        assert!(text.contains("not valid for name"), "{text}");
        let text = refusal(builder(&other).tls_names(|_, _| Some("redis.example".to_owned())));
        assert!(text.contains("invalid peer certificate"), "{text}");
        // A port that speaks no TLS.
        let plain = Client::builder(&format!("rediss://127.0.0.1:{}", cluster.port(0))).unwrap();
        refusal(plain.tls(authority.files().config().unwrap()));
        // None of them has come as far as a password.
        for node in 0..3 {
            let stats = cluster.admin().ask(node, &["INFO", "commandstats"]).unwrap().text();
            assert!(!stats.contains("cmdstat_auth") && !stats.contains("cmdstat_hello"), "{stats}");
        }
        let named = Client::builder(url).unwrap().tls(authority.files().config().unwrap());
        let mut client = named.tls_names(|_, _| Some("redis.example".to_owned())).connect().unwrap();
        client.command(&["SET", "k", "v"]).unwrap();
    });
}

#[test]
fn a_client_shows_its_own_certificate() {
    each("own", "127.0.0.1", "yes", |authority, _, url| {
        let builder = |files: Files| Client::builder(url).unwrap().tls(files.config().unwrap());
        let error = builder(authority.files()).connect().expect_err("a connection was made without a certificate");
        assert!(matches!(error, Error::NoCluster { .. }), "{error}");
        let (cert, key) = authority.certify("gateway.example");
        let mut client = builder(Files { cert: Some(cert), key: Some(key), ..authority.files() }).connect().unwrap();
        client.command(&["SET", "k", "v"]).unwrap();
        assert_eq!(client.command(&["GET", "k"]).unwrap().as_bytes(), Some(&b"v"[..]));
    });
}
