//! A reader between two buffers, in two thirds of its size: what a gateway with little RAM keeps of each connection.

use super::extent::FrameState;
use super::level::Level;
use super::reader::TokenState;
use super::resume::Stage;
use crate::limits::Limits;

/// A [`FrameState`] inside a value whose offsets count from the value's first byte, as they do when it is made anew
/// for each value. 80 bytes where pointers have 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked {
    stage: Stage,
    offset: u64,
    fold: u64,
    /// `u64::MAX` for none.
    fold_push: u64,
    /// How far the type byte of the value being read lies back. Only errors of its header tell where that was.
    back: u32,
    top: u32,
    depth: u16,
    whole: u16,
    top_attributes: u16,
    root_attributes: u16,
    top_flags: u8,
    root_flags: u8,
    /// The root awaits one value or none.
    root_awaits: bool,
    skipping: bool,
    has_push: bool,
}

#[cfg(not(any(target_pointer_width = "64", feature = "streamed")))]
const _: () = assert!(size_of::<Parked>() <= 80);

impl Parked {
    /// In front of a value.
    pub(crate) const FRESH: Self = Self {
        stage: Stage::Value,
        offset: 0,
        fold: 0,
        fold_push: u64::MAX,
        back: 0,
        top: 1,
        depth: 0,
        whole: 0,
        top_attributes: 0,
        root_attributes: 0,
        top_flags: 0,
        root_flags: 0,
        root_awaits: true,
        skipping: false,
        has_push: false,
    };

    /// The same, for strings of at most `n` bytes to come only whole.
    pub(crate) const fn with_whole(self, n: u16) -> Self {
        Self { whole: n, ..self }
    }

    pub(crate) fn park(state: &FrameState) -> Self {
        let tokens = &state.tokens;
        Self {
            stage: tokens.stage,
            offset: tokens.offset,
            fold: tokens.fold,
            fold_push: tokens.fold_push.unwrap_or(u64::MAX),
            back: u32::try_from(tokens.offset.saturating_sub(tokens.start)).unwrap_or(u32::MAX),
            top: tokens.top.remaining,
            depth: u16::try_from(tokens.depth).unwrap_or(u16::MAX),
            whole: u16::try_from(tokens.whole).unwrap_or(u16::MAX),
            top_attributes: tokens.top.attributes,
            root_attributes: tokens.root.attributes,
            top_flags: tokens.top.flags,
            root_flags: tokens.root.flags,
            root_awaits: tokens.root.remaining != 0,
            skipping: tokens.skipping,
            has_push: state.has_push,
        }
    }

    /// Under the limits it was read with.
    pub(crate) fn resume(&self, limits: &Limits) -> FrameState {
        let root =
            Level { remaining: u32::from(self.root_awaits), attributes: self.root_attributes, flags: self.root_flags };
        let tokens = TokenState {
            offset: self.offset,
            frame_end: limits.frame,
            start: self.offset.saturating_sub(u64::from(self.back)),
            fold: self.fold,
            fold_push: if self.fold_push == u64::MAX { None } else { Some(self.fold_push) },
            top: Level { remaining: self.top, attributes: self.top_attributes, flags: self.top_flags },
            root,
            depth: u32::from(self.depth),
            skipping: self.skipping,
            stage: self.stage,
            whole: usize::from(self.whole),
        };
        FrameState { tokens, has_push: self.has_push }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Status;
    use std::format;
    use std::vec::Vec;

    const REPLIES: [&[u8]; 8] = [
        b"*2\r\n$5\r\nhello\r\n*1\r\n:-12\r\n",
        b"|1\r\n+a\r\n:1\r\n%1\r\n+k\r\n#t\r\n",
        b"*2\r\n>2\r\n+x\r\n+y\r\n+in\r\n,1.5e3\r\n",
        b"*1\r\n*1\r\n*1\r\n*2\r\n*1\r\n:1\r\n:2\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"*1\r\n*1\r\n*1\r\n*2\r\n>1\r\n:1\r\n:2\r\n:3\r\n",
        b"*2\r\n:1\r\n:1x\r\n",
        b"*1\r\n*1\r\n*1\r\n*2\r\n>2\r\n:1\r\n*1\r\n>1\r\n",
    ];

    /// The end of a value, fed byte by byte, with or without parking between the bytes.
    fn run(reply: &[u8], limits: &Limits, parks: bool) -> Vec<std::string::String> {
        let mut state = FrameState::new();
        let mut levels = [Level::EMPTY; 3];
        let mut seen = Vec::new();
        for end in 1..=reply.len() {
            if parks {
                state = Parked::park(&state).resume(limits);
            }
            let step = state.scan(&mut levels, limits, &reply[..end]);
            seen.push(format!("{step:?} {}", state.looked()));
            if !matches!(step, Ok(Status::Incomplete)) {
                break;
            }
        }
        seen
    }

    #[test]
    fn parking_changes_nothing() {
        for limits in [Limits::DEFAULT, Limits::HANDSHAKE, Limits { frame: 20, ..Limits::DEFAULT }] {
            for reply in REPLIES {
                assert_eq!(run(reply, &limits, true), run(reply, &limits, false), "{reply:?}");
            }
        }
    }

    #[test]
    fn fresh_is_fresh() {
        let parked = format!("{:?}", Parked::park(&FrameState::new()));
        assert_eq!(parked, format!("{:?}", Parked::FRESH));
        assert_eq!(Parked::FRESH.with_whole(7).resume(&Limits::DEFAULT).tokens.whole, 7);
    }
}
