//! The scan of a whole cluster.

use super::certificate::{Certificate, Counts, Ended, Reasons};
use super::options::{ScanOptions, fixed_slot};
use super::reply::{Handled, ScanError};
use super::request::{ScanRequest, Ticket};
use super::save::{RestoreError, TokenTooLong};
use super::walk::{Settings, Walk};
use crate::ids::NodeId;
use crate::limits::Limits;
use crate::resp::{Frame, Level, Token, TokenState};
use crate::slot::{Slot, SlotSet};
use crate::time::{Instant, earlier};
use crate::topology::Map;

/// What is known of the whole scan; about 6.3 KiB.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    /// The only slot asked for.
    pub(crate) scope: Option<Slot>,
    pub(crate) proven: SlotSet,
    /// Of slots without a proof. Anything but `NotReached`: claimed by a walk, or tried in this pass.
    pub(crate) reasons: Reasons,
    pub(crate) counts: Counts,
    pub(crate) ended: Option<Ended>,
    /// Whether slots may wait that no walk has claimed.
    pub(crate) startable: bool,
    /// Whether a walk may have come to have slots that another can take.
    pub(crate) sharable: bool,
    /// Where to look for slots that wait next. < 16384
    pub(crate) seek: u16,
    /// The next pass begins then.
    pub(crate) resume_at: Option<Instant>,
    /// Proven slots when the pass began.
    pub(crate) proven_before: u16,
    /// Passes in a row that proved nothing new.
    pub(crate) stalled: u16,
    /// The map at hand was contradicted.
    pub(crate) refresh: bool,
    /// The walk that is asked first for its request.
    pub(crate) turn: usize,
    pub(crate) map_version: u32,
}

/// The scan of a whole cluster, over places for walks that the caller provides: an array, a slice or a vector.
///
/// The [room](super) tells what it promises. How to drive it: send what [`poll`](Self::poll) gives out, hand replies to
/// [`on_reply`](Self::on_reply) or [`on_token`](Self::on_token), failures to [`on_failed`](Self::on_failed), and every
/// lost connection to [`on_lost`](Self::on_lost) **before** any reply from a newer connection to that node. Call `poll`
/// again after each of these, when the map changed, and at [`poll_timeout`](Self::poll_timeout). When
/// [`wants_refresh`](Self::wants_refresh) says so, fetch a new map.
#[derive(Clone, Debug)]
pub struct ClusterScan<W> {
    core: Core,
    walks: W,
}

impl<const N: usize> ClusterScan<[Walk; N]> {
    /// A scan with `N` walks inside; usable in a `static`.
    #[must_use]
    pub fn inline(options: &ScanOptions<'_>) -> Self {
        Self::new(options, [const { Walk::IDLE }; N])
    }
}

impl<W: AsRef<[Walk]> + AsMut<[Walk]>> ClusterScan<W> {
    /// A scan over the given places, of which it uses all; there must be at least one. What was in them is forgotten.
    #[must_use]
    pub fn new(options: &ScanOptions<'_>, mut walks: W) -> Self {
        walks.as_mut().iter_mut().for_each(Walk::free);
        Self { core: Core::new(options), walks }
    }

    /// The next request, if one can be sent now. Ask again until there is none.
    pub fn poll(&mut self, now: Instant, map: &Map<'_>) -> Option<ScanRequest> {
        let walks = self.walks.as_mut();
        if self.core.ended.is_some() {
            return None;
        }
        if self.core.map_version != map.version() {
            self.core.map_version = map.version();
            self.core.startable = true;
        }
        if self.core.resume_at.is_none_or(|at| at <= now) {
            self.core.resume_at = None;
            self.core.fill(now, map, walks);
        }
        let turn = self.core.turn.min(walks.len());
        let (front, back) = walks.split_at_mut_checked(turn).unwrap_or_default();
        let order = (turn..).zip(back).chain((0..).zip(front));
        for (index, walk) in order {
            if walk.wants(now) {
                self.core.turn = index.saturating_add(1);
                return Some(walk.emit(now, u32::try_from(index).ok()?));
            }
        }
        self.core.turn = 0;
        None
    }

    /// When to call [`poll`](Self::poll) again though nothing happened; `None`: not before something does.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.core.ended.is_some() {
            return None;
        }
        let walks = self.walks.as_ref().iter();
        let waiting = walks.filter(|walk| !walk.is_idle() && !walk.in_flight).filter_map(|walk| walk.not_before);
        waiting.fold(self.core.resume_at, |first, at| earlier(first, Some(at)))
    }

    /// Whether a reply contradicted the map since the last call: fetch a new one.
    pub fn wants_refresh(&mut self) -> bool {
        core::mem::take(&mut self.core.refresh)
    }

    /// Takes the whole reply to a request. `each` gets every key, whose bytes it must copy if it wants to keep them.
    ///
    /// # Errors
    /// [`ScanError`], after which the scan may go on: it tries again, within its bounds.
    pub fn on_reply(
        &mut self,
        now: Instant,
        ticket: Ticket,
        frame: &Frame<'_>,
        map: &Map<'_>,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Handled, ScanError> {
        let mut state = TokenState::new();
        let mut levels = [Level::EMPTY; 8];
        let limits = Limits::DEFAULT;
        let mut reader = state.reader(&mut levels, &limits, frame.raw());
        loop {
            let token = match reader.next() {
                Ok(Some(token)) => token,
                // The frame is whole, so only a reply with too few parts for what it claims to be ends here.
                Ok(None) | Err(_) => return self.malformed(now, ticket),
            };
            if reader.out_of_band() || reader.in_attribute() {
                continue;
            }
            match self.on_token(now, ticket, &token, &mut [], map, &mut each)? {
                Handled::More if reader.at_boundary() => return self.malformed(now, ticket),
                Handled::More => {}
                end => return Ok(end),
            }
        }
    }

    /// Takes the next token of the reply to a request: all of them in order, but none that is out of band (a push) or
    /// belongs to an attribute. After [`Handled::Done`] the reply is over.
    ///
    /// `keys` holds a key that comes in chunks. It must be the same buffer for all tokens of a reply, so one is needed for each
    /// walk ([`Ticket::walk`]); with an empty one, such keys are counted as too long. The tokens of a key or a cursor
    /// that fits the receive buffer need not come in chunks: see the token reader.
    ///
    /// # Errors
    /// [`ScanError`]: the request is over and the rest of the reply must be dropped. The scan may go on: it tries
    /// again, within its bounds.
    pub fn on_token<'a>(
        &mut self,
        now: Instant,
        ticket: Ticket,
        token: &Token<'a>,
        keys: &'a mut [u8],
        map: &Map<'_>,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Handled, ScanError> {
        let Some(walk) = current(self.walks.as_mut(), ticket) else { return Ok(Handled::Stale) };
        self.core.token(now, walk, token, keys, map, &mut each)
    }

    /// The request ended without a whole reply: not sent, timed out, its connection lost, the node gone.
    pub fn on_failed(&mut self, now: Instant, ticket: Ticket) {
        if let Some(walk) = current(self.walks.as_mut(), ticket) {
            self.core.interrupt(now, walk);
        }
    }

    /// A connection to the node was lost. Replies to requests sent before are stale from here on.
    pub fn on_lost(&mut self, now: Instant, node: &NodeId) {
        for walk in self.walks.as_mut().iter_mut().filter(|walk| !walk.is_idle() && walk.at() == *node) {
            self.core.interrupt(now, walk);
        }
    }

    /// Sets COUNT for all walks from here on; a hook for an adaptation of the caller's own.
    pub fn set_count(&mut self, count: u32) {
        self.core.settings.count = count;
        self.walks.as_mut().iter_mut().for_each(|walk| walk.count = count);
    }

    /// Ends the scan. Late replies are stale.
    pub fn cancel(&mut self) {
        for walk in self.walks.as_mut().iter_mut().filter(|walk| !walk.is_idle()) {
            self.core.drop_walk(walk);
        }
        self.core.ended = self.core.ended.or(Some(Ended::Cancelled));
    }

    /// Whether the scan is over, one way or another: see [`Certificate::check`].
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.core.ended.is_some()
    }

    /// What the scan vouches for so far.
    #[must_use]
    pub fn certificate(&self) -> Certificate<'_> {
        self.core.certificate()
    }

    /// Writes what is proven so far as an ASCII token of at most [`MAX_TOKEN`](super::MAX_TOKEN) bytes, and says how many. What is walked
    /// but not proven is walked again after a restore: cursors do not outlive their connection.
    ///
    /// # Errors
    /// [`TokenTooLong`] when `out` is too small.
    pub fn save(&self, out: &mut [u8]) -> Result<usize, TokenTooLong> {
        self.core.save(out)
    }

    /// A scan that goes on where the token was saved. MATCH and TYPE must be the same as then; other options may differ.
    ///
    /// # Errors
    /// [`RestoreError`] when the token is damaged, of another version, or of another scan.
    pub fn restore(options: &ScanOptions<'_>, walks: W, token: &[u8]) -> Result<Self, RestoreError> {
        let mut scan = Self::new(options, walks);
        scan.core.restore(token)?;
        Ok(scan)
    }

    /// Bytes of the scan itself, and of the walks.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        size_of::<Core>().saturating_add(size_of_val(self.walks.as_ref()))
    }

    /// How many walks are under way.
    #[must_use]
    pub fn active_walks(&self) -> usize {
        self.walks.as_ref().iter().filter(|walk| !walk.is_idle()).count()
    }

    fn malformed(&mut self, now: Instant, ticket: Ticket) -> Result<Handled, ScanError> {
        self.on_failed(now, ticket);
        Err(ScanError::Malformed)
    }
}

/// The walk that waits for the reply to this request.
fn current(walks: &mut [Walk], ticket: Ticket) -> Option<&mut Walk> {
    walks.get_mut(ticket.walk()).filter(|walk| walk.in_flight && walk.generation == ticket.generation)
}

impl Core {
    pub(crate) fn new(options: &ScanOptions<'_>) -> Self {
        Self {
            settings: Settings::of(options),
            scope: options.pattern.and_then(fixed_slot),
            proven: SlotSet::EMPTY,
            reasons: Reasons::NONE,
            counts: Counts { passes: 1, ..Counts::NONE },
            ended: None,
            startable: true,
            sharable: false,
            seek: 0,
            resume_at: None,
            proven_before: 0,
            stalled: 0,
            refresh: false,
            turn: 0,
            map_version: 0,
        }
    }

    pub(crate) fn certificate(&self) -> Certificate<'_> {
        Certificate {
            proven: &self.proven,
            reasons: &self.reasons,
            scope: self.scope,
            coverage: self.settings.coverage,
            ended: self.ended,
            counts: self.counts,
        }
    }
}
