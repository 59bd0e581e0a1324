//! What a run is made of, drawn from its seed: every seed has its own mix of faults and strengths.

use slotwise_std::mini::model::Profile;

use super::dice::{Dice, Label, Streams};
use super::kinds::Fault;
use super::storage::Sizes;

/// The speed and habits of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetOptions {
    /// Least delay of one direction, in microseconds.
    pub delay: u32,
    /// Mean of what comes on top.
    pub spread: u32,
    /// How many in a thousand segments take a hundred times as long.
    pub tail: u32,
    /// How received bytes are cut.
    pub cut: Cut,
    /// Bytes a millisecond; 0 for no limit.
    pub bandwidth: u32,
    /// Bytes the transport takes before they have arrived.
    pub send_buffer: u32,
    /// How many in a thousand writes are taken in part only.
    pub partial: u32,
    /// Most bytes of a receive buffer; larger replies are read as tokens.
    pub receive_buffer: u32,
}

/// How received bytes are cut into reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As they were sent.
    Whole,
    /// In halves, anywhere.
    Anywhere,
    /// One to three bytes at a time.
    Small,
    /// Byte by byte.
    Bytes,
    /// Inside every CR LF.
    Crlf,
}

/// One kind of fault of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRate {
    /// The kind.
    pub fault: Fault,
    /// Mean time between two strikes, in microseconds.
    pub gap: u32,
}

/// What the applications do, as weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Single-key reads and writes.
    pub plain: u8,
    /// Commands of several keys in one slot.
    pub multi_key: u8,
    /// Commands that are split over slots.
    pub split: u8,
    /// MULTI ... EXEC.
    pub group: u8,
    /// Scripts, some of which imitate refusals.
    pub script: u8,
    /// BLPOP and the like.
    pub blocking: u8,
    /// Commands for any node.
    pub anywhere: u8,
}

/// Everything that is fixed before a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whose habits the servers have.
    pub server: Profile,
    /// Primaries, and replicas of each.
    pub shards: (u8, u8),
    /// Clients.
    pub clients: u16,
    /// Length of the first phase in microseconds.
    pub length: u64,
    /// Mean time between two requests of a client, in microseconds.
    pub gap: u32,
    /// How many requests come together at most.
    pub burst: u8,
    /// The mix of commands.
    pub mix: Mix,
    /// Sharded channels each client wants.
    pub channels: u8,
    /// Whether clients scan.
    pub scans: bool,
    /// Every second node has the habits of this server instead.
    pub mixed: Option<Profile>,
    /// Keys that stay for the whole run, for scans to find.
    pub steady: u16,
    /// Whether a password is asked for.
    pub password: bool,
    /// RESP2 instead of RESP3.
    pub resp2: bool,
    /// Where reads go: 0 primary, 1 prefers replicas, 2 any.
    pub reads: u8,
    /// Most commands in flight on a connection.
    pub window: u32,
    /// Most bytes of commands under way.
    pub max_bytes: u32,
    /// The engine's tables.
    pub sizes: Sizes,
    /// The granularity of the clients' clocks in microseconds.
    pub tick: u32,
    /// The network.
    pub net: NetOptions,
    /// The faults.
    pub faults: Vec<FaultRate>,
    /// The node that is an adversary.
    pub hostile: Option<u8>,
    /// A slot without an owner takes every other one down.
    pub full_coverage: bool,
}

/// What the caller fixes; the rest is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The servers' habits.
    pub server: Option<Profile>,
    /// Kinds of faults that are left out.
    pub without: Vec<Fault>,
    /// Kinds of [`Fault::HELD`] that are let in.
    pub with: Vec<Fault>,
    /// At most so many clients, primaries, and microseconds of the first phase.
    pub most: Option<(u8, u8, u64)>,
    /// Remembers so many events, in words; takes time.
    pub shown: Option<usize>,
    /// Breaks the driver on purpose: two replies are swapped.
    pub canary: bool,
    /// A violation that is planted.
    pub planted: Option<super::check::Planted>,
    /// One node is an adversary, whatever is drawn.
    pub hostile: bool,
}

impl Wishes {
    /// A small and short run, as the fuzz targets play it: the fuzzer makes up in runs what one of them lacks.
    #[must_use]
    pub fn small(hostile: bool) -> Self {
        Self { most: Some((2, 3, 2_000_000)), hostile, ..Self::default() }
    }
}

/// Every server profile with its name.
pub const PROFILES: &[(&str, Profile)] = &[
    ("valkey9", Profile::Valkey9),
    ("redis7", Profile::Redis7),
    ("redis8.4", Profile::Redis84),
    ("redis8", Profile::Redis8),
    ("valkey8", Profile::Valkey8),
    ("redis6.2", Profile::Redis62),
];

impl Options {
    /// Draws the options of a run.
    #[must_use]
    pub fn draw(streams: &mut Streams, wishes: &Wishes) -> Self {
        let dice = streams.of(Label::Options);
        let drawn = dice.below(PROFILES.len() as u32) as usize;
        let server = wishes.server.unwrap_or(PROFILES[drawn].1);
        let primaries = dice.pick(&[3, 2, 3, 4, 6, 1]);
        let replicas = u8::from(dice.chance(600));
        let hostile = (dice.chance(80) || wishes.hostile).then(|| dice.below(u32::from(primaries)) as u8);
        let mut options = Self {
            server,
            shards: (primaries, replicas),
            clients: dice.pick(&[1, 1, 2, 3]),
            length: 1_000_000 * u64::from(dice.range(2, 12)),
            gap: dice.pick(&[50_000, 20_000, 100_000, 200_000]),
            burst: dice.pick(&[1, 1, 4, 16]),
            mix: draw_mix(dice),
            channels: if dice.chance(400) { dice.range(1, 8) as u8 } else { 0 },
            scans: dice.chance(400),
            mixed: dice.chance(100).then(|| dice.pick(PROFILES).1),
            steady: dice.pick(&[40, 20, 200]),
            password: dice.chance(300),
            resp2: dice.chance(200),
            reads: dice.pick(&[0, 0, 0, 1, 2]),
            window: dice.pick(&[65_536, 1, 4, 64]),
            max_bytes: u32::MAX,
            sizes: draw_sizes(dice),
            tick: dice.pick(&[1, 1, 1, 1_000, 10_000]),
            net: draw_net(dice),
            faults: Vec::new(),
            hostile,
            full_coverage: false,
        };
        options.draw_faults(dice, wishes);
        options.full_coverage = dice.chance(250);
        options.draw_apart(streams, wishes);
        if options.has(Fault::Thirty) {
            // Shared ones, those of subscriptions and leases, for every node at once.
            options.sizes.conns.1 = 160;
        }
        if options.has_old_servers() {
            options.channels = 0;
        }
        if let Some((clients, primaries, length)) = wishes.most {
            options.clients = options.clients.min(u16::from(clients));
            options.shards.0 = options.shards.0.min(primaries);
            options.length = options.length.min(length);
            options.hostile = options.hostile.map(|node| node.min(options.shards.0 - 1));
        }
        options
    }

    fn draw_faults(&mut self, dice: &mut Dice, wishes: &Wishes) {
        // One run in twenty is quiet, the others have a few faults or many.
        let share = dice.pick(&[0, 80, 80, 150, 150, 300, 300, 500]);
        let strength = dice.pick(&[8, 4, 2, 1]);
        for fault in Fault::ALL.iter().filter(|fault| !fault.is_drawn_apart()) {
            let on = dice.chance(if fault.is_hostile() { 600 } else { share });
            let gap = (500_000 + dice.exponential(1_500_000) as u32) * strength;
            let held = Fault::HELD.iter().any(|(held, _)| held == fault) && !wishes.with.contains(fault);
            let wanted = on && !held && (!fault.is_hostile() || self.hostile.is_some());
            if wanted && !wishes.without.contains(fault) {
                self.faults.push(FaultRate { fault: *fault, gap });
            }
        }
    }

    /// Kinds with streams of their own; quiet runs stay quiet.
    fn draw_apart(&mut self, streams: &mut Streams, wishes: &Wishes) {
        let quiet = self.faults.is_empty();
        for fault in Fault::ALL.iter().copied().filter(|fault| fault.is_drawn_apart()) {
            let dice = streams.of(Label::Fault(fault as u8));
            let on = dice.chance(if fault.is_hostile() { 400 } else { 70 });
            let gap = 300_000 + dice.exponential(1_000_000) as u32;
            let fits = match fault {
                // There is nothing to choose before 7.0.
                Fault::Nameless => !self.has_old_servers(),
                Fault::Rewished => self.channels > 0,
                Fault::NestedErrors => self.mix.group > 0,
                Fault::LargeCursors => self.scans,
                _ => !fault.is_hostile() || self.hostile.is_some(),
            };
            if on && fits && !quiet && !wishes.without.contains(&fault) {
                self.faults.push(FaultRate { fault, gap });
            }
        }
        if self.has(Fault::BytesBound) {
            self.max_bytes = streams.of(Label::Fault(Fault::BytesBound as u8)).pick(&[300, 100, 1_000, 4_000]);
        }
    }

    /// Whether there are servers from before Redis 7.0.
    #[must_use]
    pub fn has_old_servers(&self) -> bool {
        std::iter::once(self.server).chain(self.mixed).any(|server| !server.sharded_channels())
    }

    /// Whether this kind of fault is on.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|rate| rate.fault == fault)
    }
}

fn draw_mix(dice: &mut Dice) -> Mix {
    let mut weight = |most: u32| if dice.chance(500) { dice.range(1, most) as u8 } else { 0 };
    Mix {
        plain: 10,
        multi_key: weight(8),
        split: weight(6),
        group: weight(6),
        script: weight(5),
        blocking: weight(3),
        anywhere: weight(2),
    }
}

fn draw_sizes(dice: &mut Dice) -> Sizes {
    let conns = dice.pick(&[24, 32, 16]);
    let commands = dice.pick(&[128, 64, 32]);
    Sizes {
        nodes: 40,
        ranges: dice.pick(&[600, 0]),
        conns: (conns, conns * 2),
        commands: (commands, dice.pick(&[commands, 512])),
        depth: 16,
    }
}

fn draw_net(dice: &mut Dice) -> NetOptions {
    NetOptions {
        delay: dice.pick(&[100, 50, 500, 2_000, 20_000]),
        spread: dice.pick(&[100, 1_000, 10_000, 40_000]),
        tail: dice.pick(&[0, 0, 2, 10]),
        cut: dice.pick(&[Cut::Whole, Cut::Whole, Cut::Anywhere, Cut::Small, Cut::Bytes, Cut::Crlf]),
        bandwidth: dice.pick(&[0, 0, 10_000, 200]),
        send_buffer: dice.pick(&[1 << 20, 1 << 20, 4_096, 100]),
        partial: dice.pick(&[0, 0, 100, 500]),
        receive_buffer: dice.pick(&[1 << 20, 1 << 20, 2_048]),
    }
}
