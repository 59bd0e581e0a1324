//! A node that is an adversary.

use super::servers::Sent;
use super::world::World;

impl World {
    /// What the adversary sends instead of a reply.
    pub fn twist(&mut self, link: u32, sent: Sent, out: Vec<u8>) -> Vec<u8> {
        let _ = (link, sent);
        out
    }
}
