//! The application: what it asks for, and that everything ends once.

use slotwise::cluster::SubmitError;
use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::slot::Slot;
use slotwise::time::Duration;

use super::{Request, Run};

impl Run<'_> {
    pub(super) fn submit(&mut self) {
        let tag = self.requests.len() as u64;
        let (place, flags) = (self.number(), self.number());
        let target = match place % 8 {
            7 => Target::AnyNode,
            _ => Target::Slot(Slot::masked(place as u16 * 67)),
        };
        let access = if flags & 1 == 0 { Access::Read } else { Access::Write };
        let mut spec = CommandSpec::new(target, access, 1 + place as u32 % 40).with_tag(tag);
        match flags >> 1 & 7 {
            1 => spec.replies = 3,
            2 => spec.blocking = true,
            3 => spec.subscribe = true,
            4 => spec.script_like = true,
            5 => spec.streamed = true,
            6 => spec.retry = RetryPermission::Always,
            _ => {}
        }
        spec.domain = u16::from(flags & 16 != 0);
        if flags & 32 != 0 {
            spec.timeout = Some(Duration::from_millis(place as u64));
        }
        match self.with(|cluster, now, _| cluster.submit(now, spec)) {
            Ok(id) => self.requests.push(Request {
                id,
                spec,
                ended: false,
                touched: false,
                link: None,
                sends: 0,
                handed: false,
                text: Vec::new(),
                refused: false,
            }),
            Err(error) => assert!(matches!(error, SubmitError::Full | SubmitError::ShuttingDown), "{error:?}"),
        }
    }

    pub(super) fn ended(&mut self, tag: u64) {
        let request = &mut self.requests[tag as usize];
        assert!(!request.ended, "command {tag} ends twice");
        request.ended = true;
        let id = request.id;
        let stage = self.with(|cluster, now, _| cluster.cancel(now, id));
        assert_eq!(stage, slotwise::cluster::CancelStage::Unknown, "command {tag} is alive after its end");
    }
}
