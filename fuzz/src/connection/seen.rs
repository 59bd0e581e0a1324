//! What the engine hands out.

use slotwise::cluster::Output;
use slotwise::resp::{Text, Token};

/// An output without its borrow.
pub(super) struct Seen {
    pub(super) tag: u64,
    pub(super) text: Vec<u8>,
    pub(super) error: bool,
    pub(super) last: bool,
}

impl Seen {
    pub(super) fn of(output: Output<'_>) -> Option<Self> {
        match output {
            Output::Push { .. } => None,
            Output::Reply { tag, frame, last, .. } => {
                Some(Self { tag, text: frame.raw().to_vec(), error: frame.is_error(), last })
            }

            Output::Token { tag, token, last, .. } => {
                let text = match token {
                    Token::Bulk(bytes) | Token::Simple(bytes) | Token::Chunk { bytes, .. } => bytes.to_vec(),
                    Token::Error(line) => [b"-", line].concat(),
                    _ => b" ".to_vec(),
                };
                let error = matches!(
                    token,
                    Token::Error(_) | Token::BlobError(_) | Token::Begin { kind: Text::Error | Text::BlobError, .. }
                );
                Some(Self { tag, text, error, last })
            }
        }
    }
}
