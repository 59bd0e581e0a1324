//! The configuration as the engine keeps it: in 76 bytes.

use crate::cluster::config::{Config, ReadFrom};
use crate::connection::{BackoffPolicy, Timeouts};
use crate::limits::Limits;
use crate::time::{Duration, Span};

/// A [`Config`], packed: spans of more than 24 days end there, limits of 4 GiB and more bound nothing.
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
    pub(crate) window: u32,
    line: u32,
    bulk: u32,
    elements: u32,
    frame: u32,
    depth: u16,
    attributes: u16,
    pub(crate) max_leases: u16,
    pub(crate) max_hops: u8,
    pub(crate) max_attempts: u8,
    pub(crate) follow_redirects: bool,
    pub(crate) read_from: ReadFrom,
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
            window: config.window,
            line: narrow(config.limits.line),
            bulk: narrow(config.limits.bulk),
            elements: narrow(config.limits.elements),
            frame: narrow(config.limits.frame),
            depth: config.limits.depth,
            attributes: config.limits.attributes,
            max_leases: config.max_leases,
            max_hops: config.max_hops,
            max_attempts: config.max_attempts,
            follow_redirects: config.follow_redirects,
            read_from: config.read_from,
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
        assert_eq!(size_of::<Policy>(), 76);
    }
}
