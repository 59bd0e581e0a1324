//! Every key of a cluster, with a certificate.

mod options;
mod unlink;
mod work;

use std::fmt;
use std::ops::Range;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::resp::{Args, encode};
use slotwise::scan::{Certificate, ClusterScan, MAX_TOKEN, RequestKind, ScanError, ScanRequest, Walk};

pub use options::ScanOptions;
pub use unlink::{UnlinkOptions, UnlinkReport};
use work::{Happening, ScanWork};

use crate::client::Client;
use crate::error::{Error, ServerReply};
use crate::results::frame;

/// After a node was lost, its heir is looked for this long,
const HEIR_LIMIT: StdDuration = StdDuration::from_secs(30);
/// and the map asked for this often.
const HEIR_STEP: StdDuration = StdDuration::from_millis(500);

/// Most walks at a time, 2.3 KiB each.
const MOST_WALKS: usize = 1_024;

/// A scan under way: an iterator over the cluster's keys; see [`Client::scan`].
///
/// Its memory is bounded: one page a walk, and one walk for each primary (more with [`ScanOptions::per_node`]). Pages are
/// asked for as the keys before them are taken.
pub struct Scan<'c> {
    client: &'c mut Client,
    options: ScanOptions,
    scan: ClusterScan<Vec<Walk>>,
    work: ScanWork,
    keys: Keys,
    /// The server's refusal, which ended the scan.
    refused: Option<ServerReply>,
    /// The end was told.
    told: bool,
    /// When a node was last lost, and the map last asked for because of it.
    lost: Option<(StdInstant, StdInstant)>,
}

impl fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("certificate", &self.certificate()).finish_non_exhaustive()
    }
}

/// Keys read from pages and not yet handed out.
#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    next: usize,
}

impl Keys {
    fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    fn is_empty(&self) -> bool {
        self.next == self.ends.len()
    }

    fn take(&mut self) -> Option<Range<usize>> {
        let end = *self.ends.get(self.next)?;
        let start = self.next.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.next += 1;
        Some(start..end)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.next = 0;
    }
}

impl Client {
    /// Every key of the cluster, from all primaries at a time. While the scan exists the client does nothing else.
    ///
    /// A scan that ends without an error is complete: every key that was there from its beginning to its end was
    /// returned, whatever slots moved and whatever primaries changed meanwhile. Otherwise its last item is
    /// [`Error::Scan`], and [`Scan::certificate`] names the slots without a proof. A key comes more than once only where
    /// a slot had to be walked again, which the certificate counts, or when the server itself repeats it.
    ///
    /// ```no_run
    /// use slotwise_std::{Client, ScanOptions};
    ///
    /// let mut client = Client::connect("redis://127.0.0.1:7000")?;
    /// for key in client.scan(ScanOptions::new().matching("user:*")) {
    ///     println!("{}", key?.escape_ascii());
    /// }
    /// # Ok::<(), slotwise_std::Error>(())
    /// ```
    pub fn scan(&mut self, options: ScanOptions) -> Scan<'_> {
        let scan = ClusterScan::new(&options.core(), self.walks(&options));
        self.begin(options, scan)
    }

    /// Goes on with a scan where [`Scan::save`] was called. Pattern and type must be the same as then.
    ///
    /// # Errors
    /// [`Error::ScanToken`].
    pub fn resume_scan(&mut self, options: ScanOptions, token: &str) -> Result<Scan<'_>, Error> {
        let walks = self.walks(&options);
        let scan = ClusterScan::restore(&options.core(), walks, token.as_bytes()).map_err(Error::ScanToken)?;
        Ok(self.begin(options, scan))
    }

    fn walks(&self, options: &ScanOptions) -> Vec<Walk> {
        let primaries = self.map().nodes().filter(|(_, node)| node.is_primary()).count().max(1);
        vec![Walk::IDLE; (primaries * usize::from(options.core().per_node.max(1))).min(MOST_WALKS)]
    }

    fn begin(&mut self, options: ScanOptions, scan: ClusterScan<Vec<Walk>>) -> Scan<'_> {
        let (work, keys) = (ScanWork::default(), Keys::default());
        Scan { client: self, options, scan, work, keys, refused: None, told: false, lost: None }
    }
}

impl Scan<'_> {
    /// The next key, borrowed: the way without an allocation for each key. `None` at the end of a complete scan.
    ///
    /// # Errors
    /// [`Error::Scan`] at the end of an incomplete scan, [`Error::Server`] when a server refuses to scan (the scan is
    /// over), [`Error::Io`] when the event loop fails. After an error come no more keys.
    pub fn next_key(&mut self) -> Result<Option<&[u8]>, Error> {
        if self.keys.is_empty() {
            self.fill()?;
        }
        match self.keys.take() {
            Some(range) => Ok(self.keys.bytes.get(range)),
            None if self.told => Ok(None),
            None => {
                self.told = true;
                self.verdict().map(|()| None)
            }
        }
    }

    /// Hands every key to `each`, borrowed.
    ///
    /// # Errors
    /// As [`Scan::next_key`]. Keys found before were handed out.
    pub fn for_each_key(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        while let Some(key) = self.next_key()? {
            each(key);
        }
        Ok(())
    }

    /// What the scan vouches for so far, or at its end, and what it did: proven slots, those without a proof and why,
    /// pages, keys, slots walked again.
    #[must_use]
    pub fn certificate(&self) -> Certificate<'_> {
        self.scan.certificate()
    }

    /// The state of the scan as a short text, from which [`Client::resume_scan`] goes on, in this process or another: every
    /// key of a slot that is proven there was handed out. Other slots are walked again.
    #[must_use]
    pub fn save(&self) -> String {
        let mut token = vec![0; MAX_TOKEN];
        // MAX_TOKEN bytes hold every token.
        let len = self.scan.save(&mut token).unwrap_or(0);
        token.truncate(len);
        String::from_utf8(token).unwrap_or_default()
    }

    /// Ends the scan; what was found and not yet handed out is dropped.
    pub fn cancel(&mut self) {
        self.scan.cancel();
        self.keys.clear();
        self.withdraw(None);
    }

    /// Whether the scan ended well.
    fn verdict(&mut self) -> Result<(), Error> {
        if let Some(reply) = self.refused.take() {
            return Err(Error::Server { command: "SCAN".to_owned(), reply });
        }
        self.scan.certificate().check().map_err(|incomplete| {
            let last = self.work.last_failure.filter(|_| incomplete.slots > 0);
            let last = last.map(|failure| format!("; last failed request: {failure}")).unwrap_or_default();
            Error::Scan(format!("{incomplete}{last}"))
        })
    }

    /// Reads pages until there are keys, or the scan is over.
    fn fill(&mut self) -> Result<(), Error> {
        self.keys.clear();
        loop {
            self.hear();
            self.ask();
            if !self.keys.is_empty() {
                // The nodes work on the next pages while these keys are used.
                self.client.driver.turn(&mut self.work, Some(StdDuration::ZERO))?;
                return Ok(());
            }
            if self.scan.is_done() {
                self.withdraw(None);
                return Ok(());
            }
            // What waited behind keys may be all there is.
            let wait = if self.work.happened.is_empty() { self.look_for_heir() } else { Some(StdDuration::ZERO) };
            self.client.driver.turn(&mut self.work, wait)?;
        }
    }

    /// How long to wait for something to happen. After a node was lost the map is asked for meanwhile: a request to that
    /// node waits behind growing dial delays, and only a map that names another owner ends that early.
    fn look_for_heir(&mut self) -> Option<StdDuration> {
        let wait = self.wait();
        let Some((lost, asked)) = self.lost.filter(|(lost, _)| lost.elapsed() < HEIR_LIMIT) else { return wait };
        if asked.elapsed() >= HEIR_STEP {
            let now = self.client.driver.now();
            self.client.driver.cluster.refresh(now);
            self.lost = Some((lost, StdInstant::now()));
        }
        Some(wait.map_or(HEIR_STEP, |wait| wait.min(HEIR_STEP)))
    }

    fn wait(&self) -> Option<StdDuration> {
        let now = self.client.driver.now();
        self.scan.poll_timeout().map(|at| StdDuration::from(at.since(now)))
    }

    /// Tells the scan what happened. A proof is only taken when all keys read so far were handed out, so that a saved
    /// scan never vouches for a key that the caller has not seen.
    fn hear(&mut self) {
        while let Some(happening) = self.work.happened.pop_front() {
            match happening {
                Happening::Reply { proof: true, .. } if !self.keys.is_empty() => {
                    self.work.happened.push_front(happening);
                    return;
                }
                Happening::Reply { ticket, at, bytes, .. } => {
                    let now = self.client.driver.at(at);
                    let map = self.client.driver.cluster.map();
                    if let Some(frame) = frame(&bytes) {
                        let keys = &mut self.keys;
                        let heard = self.scan.on_reply(now, ticket, &frame, &map, |key| keys.push(key));
                        if heard == Err(ScanError::Refused) && self.refused.is_none() {
                            self.refused = frame.error().map(ServerReply::new);
                        }
                    } else {
                        self.scan.on_failed(now, ticket);
                    }
                    self.work.keep(bytes);
                }
                Happening::Failed(ticket) => self.scan.on_failed(self.client.driver.now(), ticket),
                Happening::Lost(node) => {
                    self.scan.on_lost(self.client.driver.now(), &node);
                    self.withdraw(Some(node));
                    let asked = self.lost.map_or_else(StdInstant::now, |(_, asked)| asked);
                    self.lost = Some((StdInstant::now(), asked));
                }
            }
        }
        if self.refused.is_some() {
            self.scan.cancel();
        }
    }

    /// Sends what the scan wants to know.
    fn ask(&mut self) {
        let now = self.client.driver.now();
        while let Some(request) = self.scan.poll(now, &self.client.driver.cluster.map()) {
            self.submit(&request);
        }
        if self.scan.wants_refresh() {
            self.client.driver.cluster.refresh(now);
        }
    }

    fn submit(&mut self, request: &ScanRequest) {
        let mut bytes = self.work.buffer();
        let len = encoded(&request.args(&self.options.core()), &mut bytes);
        let tag = ScanWork::tag(&mut self.client.scan_tags);
        // Once only: on another connection the cursor may mean something else.
        let spec = CommandSpec::new(Target::Node(request.node), Access::Read, len)
            .with_retry(RetryPermission::IfNotExecuted)
            .with_tag(tag);
        let now = self.client.driver.now();
        let proof = matches!(request.kind, RequestKind::Nodes);
        self.work.sent(tag, request.node, request.ticket, proof, bytes);
        match self.client.driver.cluster.submit(now, spec) {
            Ok(id) => self.work.accepted(tag, id),
            Err(_) => {
                self.work.refused(tag);
                self.scan.on_failed(now, request.ticket);
            }
        }
    }

    /// Takes back requests (to one node, or all): their replies, if any come, are of no use.
    fn withdraw(&mut self, node: Option<slotwise::ids::NodeId>) {
        let now = self.client.driver.now();
        for id in self.work.forget(node) {
            self.client.driver.cluster.cancel(now, id);
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_key().map(|key| key.map(<[u8]>::to_vec)).transpose()
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        let now = self.client.driver.now();
        for id in self.work.abandon() {
            self.client.driver.cluster.cancel(now, id);
        }
    }
}

/// Appends an encoded command and gives its length.
fn encoded<A: Args + ?Sized>(args: &A, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    let len = encode::encoded_len(args).unwrap_or(0);
    out.resize(start + usize::try_from(len).unwrap_or(0), 0);
    if encode::encode(args, &mut out[start..]).is_err() {
        out.truncate(start);
    }
    u32::try_from(out.len() - start).unwrap_or(u32::MAX)
}
