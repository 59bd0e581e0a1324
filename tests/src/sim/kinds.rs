//! The kinds of faults.

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault {
            $($(#[doc = $doc])* $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in options and summaries.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

faults! {
    // ---- the network ----
    /// Received bytes come in small pieces.
    Fragment = "fragmentation";
    /// The transport takes a part of what is written; the rest later.
    PartialWrite = "partial write";
    /// The stream breaks at some byte on the way to the server.
    ResetUp = "reset on the way up";
    /// The stream breaks at some byte on the way to the client.
    ResetDown = "reset on the way down";
    /// The server ends the stream behind some replies.
    HalfClose = "half-close";
    /// Writes succeed, nothing is delivered in either direction.
    HalfOpen = "half-open";
    /// A direction of a stream stands still for up to five seconds.
    Clog = "clog";
    /// Delays grow tenfold for a while.
    Slowness = "slow network";
    /// Dials are refused.
    ConnectRefused = "connect refused";
    /// Dials are not answered.
    ConnectTimeout = "connect time-out";
    /// Dials succeed and the stream ends at once.
    ConnectClosed = "connect and instant close";
    /// Dials reach a node of another cluster that has the address now.
    ConnectWrong = "connect to a wrong node";
    /// Dials succeed after the client gave up.
    ConnectLate = "connect too late";
    /// The client loses the stream, the server does not notice and goes on.
    Duplicate = "old connection lives on";
    /// One node cannot be reached by clients.
    PartitionNode = "partition of a node";
    /// Half the nodes cannot be reached by clients.
    PartitionHalf = "partition of half";
    /// What goes to a node arrives, what comes from it does not.
    PartitionOneWay = "one-way partition";
    /// Nodes do not hear each other.
    PartitionBus = "partition between nodes";
    /// A node has another address from now on.
    NameChange = "name change";
    /// The client's clock jumps forward.
    ClockJump = "clock jump";
    /// The client stands still for a while.
    Suspend = "client suspended";
    // ---- the cluster ----
    /// A node's process ends and comes back with its data.
    Crash = "crash";
    /// A node's process ends and comes back without data.
    RestartEmpty = "restart empty";
    /// A node loads its data.
    Loading = "loading";
    /// A node stands still, perhaps beyond the time-out of its peers.
    Pause = "pause";
    /// A node answers late.
    SlowNode = "slow node";
    /// A node runs an endless script.
    Busy = "busy script";
    /// A node has no memory left for writes.
    OutOfMemory = "out of memory";
    /// A server closes client connections.
    ClientKill = "client kill";
    /// A server closes subscribers that read too slowly.
    OutputLimit = "subscriber cut off";
    /// The password changes.
    Password = "password rotation";
    /// The client may not ask CLUSTER SLOTS any more.
    Acl = "acl without cluster commands";
    /// A replica takes over while the primary lives.
    Failover = "manual failover";
    /// A replica takes over in the middle of a migration.
    FailoverMigrating = "failover in a migration";
    /// A slot moves key by key.
    Migration = "migration per key";
    /// Slots move at once.
    MigrationAtomic = "atomic migration";
    /// A migration begins and is given up.
    MigrationAborted = "aborted migration";
    /// Slots move away and come back.
    Aba = "slots there and back";
    /// A slot loses its owner for a while.
    DelSlots = "slots without owner";
    /// A node forgets the cluster and answers with an empty slot list.
    Reset = "cluster reset of a node";
    /// The cluster gets more nodes.
    ScaleOut = "more nodes";
    /// The cluster loses nodes.
    ScaleIn = "fewer nodes";
    /// A replica goes to another primary.
    ReplicaMoves = "replica moves";
    /// Nodes are announced in another way: host name, unknown, empty.
    Endpoints = "endpoint mode";
    /// Nodes are announced with other ports than those by which the client found them.
    TlsPorts = "tls ports";
    /// Nodes are announced with addresses that the client has to map.
    Nat = "nat";
    // ---- the application ----
    /// A request is given up.
    Cancel = "cancel";
    /// A time-out shorter than a round trip.
    ShortTimeout = "short time-out";
    /// More requests at once than the window holds.
    Burst = "burst";
    /// A very large value.
    LargeValue = "large value";
    /// The core is dropped while it is busy.
    Dropped = "core dropped";
    // ---- an adversary ----
    /// One reply more than was asked for.
    Surplus = "hostile: surplus reply";
    /// One reply less.
    Missing = "hostile: missing reply";
    /// Half a reply, then another.
    SplitReply = "hostile: split reply";
    /// A reply of a wrong type.
    WrongType = "hostile: wrong type";
    /// Redirect lines that are malformed or lead elsewhere.
    Redirects = "hostile: redirects";
    /// A flood of pushes.
    PushFlood = "hostile: push flood";
    /// Attributes without end.
    Attributes = "hostile: attributes";
    /// Cursors that never end.
    Cursors = "hostile: endless cursors";
    /// Lengths, depths and bytes that no server sends.
    Garbage = "hostile: garbage";
    // ---- further ones, behind the others so that these keep their numbers ----
    /// A replica receives nothing for a while; perhaps its primary ends meanwhile, and writes are lost.
    Lag = "replication lag";
    /// A connection is told when keys change that it has read: pushes between replies.
    Tracking = "invalidation pushes";
    /// Attributes stand before replies.
    Attributed = "attributes before replies";
    /// A blocked command is redirected, twice.
    DoubleMoved = "redirect said twice";
    /// A node sends on with ASK to one that sends on with MOVED: half a migration that nobody cleans up.
    AskChain = "ask chain";
    /// The transport takes a few more bytes, the middle of a command perhaps, and then none.
    HalfWritten = "half-written command";
    /// A host name leads to another node for a while.
    NameMoved = "name leads elsewhere";
    /// A node announces an address that only the client's own table leads to.
    Mapped = "mapped addresses";
    /// A slot has come back to a node that still deletes what it had of it.
    Trimming = "slot being trimmed";
    /// The cluster grows to thirty nodes, and shrinks again.
    Thirty = "thirty nodes";
    /// A client's clock goes in large steps for a while: many events have the same time.
    Ticks = "coarse ticks";
    // ---- these are drawn from streams of their own, so that runs without them stay what they were ----
    /// An adapter reports of a connection that another one has replaced: bytes, writes, its end.
    Belated = "late reports of old connections";
    /// The commands under way may have so many bytes and no more.
    BytesBound = "bound of bytes";
    /// Commands of one slot go one by one.
    StrictOrder = "strict order";
    /// All nodes have one port, each at its own host, and redirects do not name hosts.
    Nameless = "redirects without hosts";
    /// Nodes have IPv6 addresses.
    Ipv6 = "ipv6 addresses";
    /// Cursors of scans are larger than 32 and 63 bits.
    LargeCursors = "large cursors";
    /// A channel is no longer wanted, and is again before anybody has heard of it.
    Rewished = "wish taken back and renewed";
    /// Commands inside of transactions fail.
    NestedErrors = "errors inside of replies";
    /// A slot belongs to nobody for a while, and every node says so.
    Nobody = "slot of nobody";
    /// A node that does not hear the others tells what was, with the epochs of then.
    OldView = "old view with epochs";
    /// Attributes stand inside of replies, before an element.
    NestedAttributes = "attributes inside of replies";
    /// A length of a string that is beyond every limit, or not that of the string.
    LyingLength = "hostile: lying length";
    /// Slot numbers of more than 16 bits.
    SlotNumbers = "hostile: slot numbers";
}

impl Fault {
    /// Kinds that runs have only if they are asked for: what the core does not withstand yet, and why.
    pub const HELD: &'static [(Self, &'static str)] = &[];

    /// Whether only an adversary does this.
    #[must_use]
    pub fn is_hostile(self) -> bool {
        (Self::Surplus..=Self::Garbage).contains(&self) || self >= Self::LyingLength
    }

    /// Whether a run draws it from a stream of its own.
    #[must_use]
    pub fn is_drawn_apart(self) -> bool {
        self >= Self::Belated
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn every_kind_has_a_stream_and_a_name_of_its_own() {
        assert!(Fault::ALL.len() <= 128);
        let names: std::collections::BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        assert!(Fault::Garbage.is_hostile() && !Fault::Dropped.is_hostile() && !Fault::OldView.is_hostile());
        assert!(Fault::Belated.is_drawn_apart() && !Fault::Ticks.is_drawn_apart());
    }
}
