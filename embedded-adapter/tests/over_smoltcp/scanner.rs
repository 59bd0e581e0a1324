//! A scan as the application of a driver: replies are read token by token, whatever their size.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::cluster::{CloseReason, SubmitError};
use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::pipeline::Failure;
use slotwise::resp::encode;
use slotwise::scan::{ClusterScan, ScanOptions, ScanRequest, Ticket, Walk};
use slotwise_embedded::{At, Piece, Reply, Work, copy_command};

pub(crate) struct Scanner {
    pub(crate) options: ScanOptions<'static>,
    pub(crate) scan: ClusterScan<[Walk; 1]>,
    next: Option<ScanRequest>,
    sent: BTreeMap<u64, ScanRequest>,
    key: [u8; 64],
    pub(crate) found: BTreeSet<String>,
    pub(crate) errors: usize,
}

impl Scanner {
    pub(crate) fn new(options: ScanOptions<'static>) -> Self {
        Self {
            options,
            scan: ClusterScan::inline(&options),
            next: None,
            sent: BTreeMap::new(),
            key: [0; 64],
            found: BTreeSet::new(),
            errors: 0,
        }
    }
}

impl Work for Scanner {
    fn next_command(&mut self, at: &At<'_>) -> Option<CommandSpec> {
        if self.next.is_none() {
            self.next = self.scan.poll(at.now, &at.map);
        }
        let request = self.next?;
        let len = u32::try_from(encode::encoded_len(&request.args(&self.options)).unwrap()).unwrap();
        let spec = CommandSpec::new(Target::Node(request.node), Access::Read, len);
        let spec = spec.with_retry(RetryPermission::IfNotExecuted).with_streamed(true);
        Some(spec.with_tag(request.ticket.to_bits()))
    }

    fn submitted(&mut self, tag: u64, result: Result<CommandId, SubmitError>) {
        result.unwrap();
        self.sent.extend(self.next.take().map(|request| (tag, request)));
    }

    fn encode(&mut self, tag: u64, offset: usize, out: &mut [u8]) -> usize {
        copy_command(&self.sent[&tag].args(&self.options), offset, out)
    }

    fn reply(&mut self, _: &At<'_>, _: u64, reply: Reply<'_>) {
        panic!("{:?} came whole", reply.frame);
    }

    fn token(&mut self, at: &At<'_>, tag: u64, piece: Piece<'_>) {
        let found = &mut self.found;
        let each = |key: &[u8]| {
            found.insert(String::from_utf8(key.to_vec()).unwrap());
        };
        let ticket = Ticket::from_bits(tag);
        let taken = self.scan.on_token(at.now, ticket, &piece.token, &mut self.key, &at.map, each);
        self.errors += usize::from(taken.is_err());
    }

    fn failed(&mut self, at: &At<'_>, tag: u64, _: Failure) {
        self.errors += 1;
        self.scan.on_failed(at.now, Ticket::from_bits(tag));
    }

    fn closed(&mut self, at: &At<'_>, _: ConnId, node: Option<NodeId>, _: CloseReason) {
        if let Some(node) = node {
            self.scan.on_lost(at.now, &node);
        }
    }
}
