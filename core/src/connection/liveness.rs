//! When a connection is given up: decisions over instants, without a clock.

use crate::time::{Duration, Instant, Stamp};

/// How long a connection may take or be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timeouts {
    /// From the dial to the established connection (name resolution and TLS included, if the transport does them).
    pub connect: Duration,
    /// From the established connection to Ready. Bytes do not extend it.
    pub handshake: Duration,
    /// Silence with replies outstanding before the connection is probed. Any byte starts it anew: a slow peer is
    /// not a dead one.
    pub response: Duration,
    /// Silence after the probe before the connection is closed.
    pub probe: Duration,
    /// Silence with nothing outstanding before the connection is probed; `None` never probes an idle one. Subscribers
    /// need it: nothing else tells a quiet channel from a dead connection.
    pub keepalive: Option<Duration>,
}

impl Timeouts {
    /// 3 s to connect, 3 s for the handshake, a probe after 5 s without a byte, 2 s for its answer, idle connections
    /// left alone.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(3),
        handshake: Duration::from_secs(3),
        response: Duration::from_secs(5),
        probe: Duration::from_secs(2),
        keepalive: None,
    };
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What [`Liveness::poll`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Verdict {
    /// The dial took too long: close.
    ConnectTimedOut,
    /// The handshake took too long: close. Its late replies must not meet a command.
    HandshakeTimedOut,
    /// Put a PING in line and say so with [`Liveness::on_probe`].
    Probe,
    /// The probe was not answered by a single byte either: close.
    Dead,
}

/// What a Ready connection is waiting for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Work {
    /// No reply is outstanding.
    #[default]
    Idle,
    /// Replies are outstanding that the server owes at once.
    Replies,
    /// A blocking command is outstanding: silence is its right, and a PING would only be answered after it. Such
    /// connections end by the command's own deadline.
    Blocked,
}

/// The clocks of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Liveness {
    stage: Stage,
    /// Start of the stage; once Ready, the start of the present silence.
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage {
    Dialling,
    Handshake,
    Ready(Work),
    /// A probe went out at `since`, and nothing has come since then.
    Probed(Work),
}

impl Liveness {
    /// A connection whose dial begins now.
    #[must_use]
    pub const fn dialling(now: Instant) -> Self {
        Self { stage: Stage::Dialling, since: now }
    }

    /// The transport is established; the handshake begins.
    pub const fn on_connected(&mut self, now: Instant) {
        *self = Self { stage: Stage::Handshake, since: now };
    }

    /// The handshake is done.
    pub const fn on_ready(&mut self, now: Instant) {
        *self = Self { stage: Stage::Ready(Work::Idle), since: now };
    }

    /// At least one byte came in.
    pub const fn on_bytes(&mut self, now: Instant) {
        if let Stage::Ready(work) | Stage::Probed(work) = self.stage {
            *self = Self { stage: Stage::Ready(work), since: now };
        }
    }

    /// What is outstanding has changed (or not). Waiting begins when the first command goes out on an idle
    /// connection, and is not begun anew by those behind it.
    pub fn on_work(&mut self, now: Instant, work: Work) {
        match &mut self.stage {
            Stage::Ready(old) if *old != work => *self = Self { stage: Stage::Ready(work), since: now },
            Stage::Probed(old) => *old = work,
            _ => {}
        }
    }

    /// The probe of [`Verdict::Probe`] was put in line.
    pub const fn on_probe(&mut self, now: Instant) {
        if let Stage::Ready(work) = self.stage {
            *self = Self { stage: Stage::Probed(work), since: now };
        }
    }

    /// What is due at `now`, if anything. The answer stays the same until it is acted on.
    #[must_use]
    pub fn poll(&self, now: Instant, timeouts: &Timeouts) -> Option<Verdict> {
        let due = self.poll_timeout(timeouts)? <= now;
        due.then_some(match self.stage {
            Stage::Dialling => Verdict::ConnectTimedOut,
            Stage::Handshake => Verdict::HandshakeTimedOut,
            Stage::Ready(_) => Verdict::Probe,
            Stage::Probed(_) => Verdict::Dead,
        })
    }

    /// When [`poll`](Self::poll) has something to say next, if no byte comes and nothing changes; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self, timeouts: &Timeouts) -> Option<Instant> {
        let wait = match self.stage {
            Stage::Dialling => timeouts.connect,
            Stage::Handshake => timeouts.handshake,
            Stage::Ready(Work::Replies) => timeouts.response,
            Stage::Ready(Work::Idle) => timeouts.keepalive?,
            Stage::Ready(Work::Blocked) => return None,
            Stage::Probed(_) => timeouts.probe,
        };
        Some(self.since + wait)
    }
}

/// A [`Liveness`] as tables keep it, in 6 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    stage: Stage,
    /// The halves of a [`Stamp`].
    since: [u16; 2],
}

const fn halves(stamp: Stamp) -> [u16; 2] {
    [stamp.bits() as u16, (stamp.bits() >> 16) as u16]
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) const IDLE: Self = Self { stage: Stage::Dialling, since: [0; 2] };

    pub(crate) const fn of(liveness: Liveness) -> Self {
        Self { stage: liveness.stage, since: halves(Stamp::at(liveness.since)) }
    }

    /// The clocks, as seen within 24 days of `now`.
    pub(crate) const fn get(self, now: Instant) -> Liveness {
        let [low, high] = self.since;
        let since = match Stamp::from_bits((high as u32) << 16 | low as u32).near(now) {
            Some(since) => since,
            None => now,
        };
        Liveness { stage: self.stage, since }
    }

    /// [`Liveness::on_bytes`].
    pub(crate) const fn on_bytes(&mut self, now: Instant) {
        if let Stage::Ready(work) | Stage::Probed(work) = self.stage {
            *self = Self { stage: Stage::Ready(work), since: halves(Stamp::at(now)) };
        }
    }

    /// [`Liveness::on_work`].
    pub(crate) fn on_work(&mut self, now: Instant, work: Work) {
        if !matches!(self.stage, Stage::Ready(old) | Stage::Probed(old) if old == work) {
            self.change(now, |liveness| liveness.on_work(now, work));
        }
    }

    /// Whether replies have been owed in silence for a while: it was probed, or has been quiet for a second.
    pub(crate) fn is_slow(self, now: Instant) -> bool {
        match self.stage {
            Stage::Probed(_) => true,
            Stage::Ready(Work::Replies) => now.since(self.get(now).since) >= Duration::from_secs(1),
            _ => false,
        }
    }

    /// Tells it something.
    pub(crate) fn change(&mut self, now: Instant, tell: impl FnOnce(&mut Liveness)) {
        let mut liveness = self.get(now);
        tell(&mut liveness);
        *self = Self::of(liveness);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timeouts = Timeouts::DEFAULT;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    #[test]
    fn dial_and_handshake_end_on_time_whatever_comes() {
        let mut live = Liveness::dialling(at(100));
        assert_eq!(live.poll_timeout(&T), Some(at(3_100)));
        assert_eq!(live.poll(at(3_099), &T), None);
        assert_eq!(live.poll(at(3_100), &T), Some(Verdict::ConnectTimedOut));
        live.on_connected(at(3_000));
        // One byte a second does not stretch a handshake.
        for ms in [3_500, 4_500, 5_500] {
            live.on_bytes(at(ms));
            live.on_work(at(ms), Work::Replies);
            live.on_probe(at(ms));
        }
        assert_eq!(live.poll(at(5_999), &T), None);
        assert_eq!(live.poll(at(6_000), &T), Some(Verdict::HandshakeTimedOut));
    }

    #[test]
    fn silence_with_work_is_probed_then_closed() {
        let mut live = Liveness::dialling(at(0));
        live.on_ready(at(0));
        assert_eq!(live.poll_timeout(&T), None);
        live.on_work(at(60_000), Work::Replies);
        // More work behind the first does not postpone the probe.
        live.on_work(at(64_000), Work::Replies);
        assert_eq!(live.poll(at(64_999), &T), None);
        assert_eq!(live.poll(at(65_000), &T), Some(Verdict::Probe));
        live.on_probe(at(65_000));
        live.on_work(at(66_000), Work::Replies);
        assert_eq!(live.poll_timeout(&T), Some(at(67_000)));
        assert_eq!(live.poll(at(67_000), &T), Some(Verdict::Dead));
    }

    #[test]
    fn any_byte_is_a_sign_of_life() {
        let mut live = Liveness::dialling(at(0));
        live.on_ready(at(0));
        live.on_work(at(0), Work::Replies);
        for s in 1..60 {
            live.on_bytes(at(s * 4_900));
            assert_eq!(live.poll(at(s * 4_900 + 4_899), &T), None);
        }
        live.on_probe(at(400_000));
        live.on_bytes(at(401_000));
        assert_eq!(live.poll(at(405_999), &T), None);
        assert_eq!(live.poll(at(406_000), &T), Some(Verdict::Probe));
    }

    #[test]
    fn idle_connections_are_probed_only_if_asked_and_blocked_ones_never() {
        let keep = Timeouts { keepalive: Some(Duration::from_secs(30)), ..T };
        let mut live = Liveness::dialling(at(0));
        live.on_ready(at(0));
        assert_eq!(live.poll_timeout(&T), None);
        assert_eq!(live.poll(at(30_000), &keep), Some(Verdict::Probe));
        live.on_work(at(1_000), Work::Blocked);
        assert_eq!(live.poll_timeout(&keep), None);
        live.on_work(at(2_000), Work::Idle);
        assert_eq!(live.poll_timeout(&keep), Some(at(32_000)));
        live.on_probe(at(32_000));
        assert_eq!(live.poll(at(34_000), &keep), Some(Verdict::Dead));
    }
}
