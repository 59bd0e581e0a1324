//! The configuration as the engine keeps it: in 80 bytes.

use crate::cluster::config::{Config, ReadFrom};
use crate::connection::{BackoffPolicy, Timeouts, Zone};
use crate::limits::Limits;
use crate::time::{Duration, Span};

/// A [`Config`], packed: spans of more than 24 days end there, limits of 4 GiB and more bound nothing, windows and queues
/// end at 65,535, and the bound of bytes is kept to one part in a thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    command_timeout: Span,
    connect: Span,
    handshake: Span,
    response: Span,
    probe: Span,
    keepalive: Span,
    subscriber_keepalive: Span,
    retry_delay: Span,
    lease_idle: Span,
    backoff_base: Span,
    backoff_cap: Span,
    line: u32,
    bulk: u32,
    elements: u32,
    frame: u32,
    depth: u16,
    attributes: u16,
    pub(crate) max_leases: u16,
    pub(crate) max_hops: u8,
    pub(crate) max_attempts: u8,
    read_from: Read,
    zone: u32,
    window: u16,
    /// Eleven bits, and how far they are shifted in five.
    max_bytes: u16,
    max_queue: u16,
    flags: u8,
}

/// [`ReadFrom`] without its zone.
#[derive(Clone, Copy, Debug)]
enum Read {
    Primary,
    PreferReplica,
    Any,
    SameZone,
}

const FOLLOW: u8 = 1;
const STRICT: u8 = 2;
const RESEND: u8 = 4;

const fn short(limit: u32) -> u16 {
    if limit < u16::MAX as u32 { limit as u16 } else { u16::MAX }
}

/// A number in eleven bits and a shift, rounded down.
const fn rounded(bytes: u32) -> u16 {
    let shift = 21_u32.saturating_sub(bytes.leading_zeros());
    ((bytes >> shift) << 5 | shift) as u16
}

const fn narrow(limit: u64) -> u32 {
    if limit < u32::MAX as u64 { limit as u32 } else { u32::MAX }
}

const fn wide(limit: u32) -> u64 {
    if limit == u32::MAX { u64::MAX } else { limit as u64 }
}

impl Policy {
    pub(crate) const fn of(config: &Config) -> Self {
        Self {
            command_timeout: Span::of(config.command_timeout),
            connect: Span::of(config.timeouts.connect),
            handshake: Span::of(config.timeouts.handshake),
            response: Span::of(config.timeouts.response),
            probe: Span::of(config.timeouts.probe),
            keepalive: Span::of_option(config.timeouts.keepalive),
            subscriber_keepalive: Span::of(config.subscriber_keepalive),
            retry_delay: Span::of(config.retry_delay),
            lease_idle: Span::of(config.lease_idle),
            backoff_base: Span::of(config.backoff.base),
            backoff_cap: Span::of(config.backoff.cap),
            line: narrow(config.limits.line),
            bulk: narrow(config.limits.bulk),
            elements: narrow(config.limits.elements),
            frame: narrow(config.limits.frame),
            depth: config.limits.depth,
            attributes: config.limits.attributes,
            max_leases: config.max_leases,
            max_hops: config.max_hops,
            max_attempts: config.max_attempts,
            read_from: match config.read_from {
                ReadFrom::Primary => Read::Primary,
                ReadFrom::PreferReplica => Read::PreferReplica,
                ReadFrom::Any => Read::Any,
                ReadFrom::SameZone(_) => Read::SameZone,
            },
            zone: match config.read_from {
                ReadFrom::SameZone(zone) => zone.bits(),
                _ => 0,
            },
            window: short(config.window),
            max_bytes: rounded(config.max_bytes),
            max_queue: short(config.max_queue),
            flags: (FOLLOW * config.follow_redirects as u8)
                | (STRICT * config.strict_order as u8)
                | (RESEND * config.resend_unsure as u8),
        }
    }

    pub(crate) const fn window(&self) -> usize {
        self.window as usize
    }

    pub(crate) const fn follow_redirects(&self) -> bool {
        self.flags & FOLLOW != 0
    }

    pub(crate) const fn strict_order(&self) -> bool {
        self.flags & STRICT != 0
    }

    pub(crate) const fn resend_unsure(&self) -> bool {
        self.flags & RESEND != 0
    }

    /// `None` bounds nothing.
    pub(crate) const fn max_bytes(&self) -> Option<u32> {
        let bytes = ((self.max_bytes >> 5) as u32) << (self.max_bytes & 31);
        if self.max_bytes == rounded(u32::MAX) { None } else { Some(bytes) }
    }

    /// `None` bounds nothing.
    pub(crate) const fn max_queue(&self) -> Option<usize> {
        if self.max_queue == u16::MAX { None } else { Some(self.max_queue as usize) }
    }

    pub(crate) const fn read_from(&self) -> ReadFrom {
        match self.read_from {
            Read::Primary => ReadFrom::Primary,
            Read::PreferReplica => ReadFrom::PreferReplica,
            Read::Any => ReadFrom::Any,
            Read::SameZone => ReadFrom::SameZone(Zone::from_bits(self.zone)),
        }
    }

    pub(crate) const fn command_timeout(&self) -> Duration {
        self.command_timeout.get()
    }

    pub(crate) const fn retry_delay(&self) -> Duration {
        self.retry_delay.get()
    }

    pub(crate) const fn lease_idle(&self) -> Duration {
        self.lease_idle.get()
    }

    pub(crate) const fn backoff(&self) -> BackoffPolicy {
        BackoffPolicy { base: self.backoff_base.get(), cap: self.backoff_cap.get() }
    }

    /// The bounds of silence, for a connection with or without subscriptions.
    pub(crate) const fn timeouts(&self, subscriber: bool) -> Timeouts {
        let keepalive = if subscriber { Some(self.subscriber_keepalive.get()) } else { self.keepalive.option() };
        Timeouts {
            connect: self.connect.get(),
            handshake: self.handshake.get(),
            response: self.response.get(),
            probe: self.probe.get(),
            keepalive,
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            line: wide(self.line),
            bulk: wide(self.bulk),
            elements: wide(self.elements),
            depth: self.depth,
            frame: wide(self.frame),
            attributes: self.attributes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_can_be_read() {
        let config = Config::new(3);
        let policy = Policy::of(&config);
        assert_eq!(policy.limits(), config.limits);
        assert_eq!(policy.timeouts(false), config.timeouts);
        assert_eq!(policy.timeouts(true).keepalive, Some(config.subscriber_keepalive));
        assert_eq!(policy.backoff(), config.backoff);
        assert_eq!((policy.command_timeout(), policy.lease_idle()), (config.command_timeout, config.lease_idle));
        assert_eq!(policy.retry_delay(), config.retry_delay);
        for read_from in
            [ReadFrom::Primary, ReadFrom::PreferReplica, ReadFrom::Any, ReadFrom::SameZone(Zone::of(b"eu-1a"))]
        {
            assert_eq!(Policy::of(&Config { read_from, ..config }).read_from(), read_from);
        }
        for (bytes, kept) in [
            (0, Some(0)),
            (100, Some(100)),
            (2_047, Some(2_047)),
            (2_049, Some(2_048)),
            (100_000_000, Some(99_942_400)),
            (u32::MAX, None),
        ] {
            assert_eq!(Policy::of(&Config { max_bytes: bytes, ..config }).max_bytes(), kept);
        }
        assert_eq!(Policy::of(&Config { max_queue: 7, ..config }).max_queue(), Some(7));
        assert_eq!((policy.max_queue(), policy.window()), (None, 65_535));
        for (follow_redirects, strict_order, resend_unsure) in
            [(true, false, false), (false, true, false), (false, false, true)]
        {
            let policy = Policy::of(&Config { follow_redirects, strict_order, resend_unsure, ..config });
            let flags = (policy.follow_redirects(), policy.strict_order(), policy.resend_unsure());
            assert_eq!(flags, (follow_redirects, strict_order, resend_unsure));
        }
        assert_eq!(size_of::<Policy>(), 80);
    }
}
