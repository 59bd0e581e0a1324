//! What honest peers answer, for the target `connection`.

use slotwise::addr::NodeAddr;
use slotwise::command::CommandSpec;
use slotwise::connection::ControlFrame;
use slotwise::slot::Slot;

/// Two nodes in halves; the same the other way round; a third node that has a quarter.
const MAPS: [&[(u16, u16, usize)]; 3] =
    [&[(0, 8_191, 0), (8_192, 16_383, 1)], &[(0, 8_191, 1), (8_192, 16_383, 0)], &[(0, 4_095, 2), (4_096, 16_383, 0)]];

/// Where a node listens.
pub(super) fn address(node: usize) -> NodeAddr<'static> {
    NodeAddr::new("127.0.0.1", 7_000 + node as u16).expect("well formed")
}

fn node_id(node: usize) -> String {
    [b'a', b'b', b'c'].get(node).map_or_else(String::new, |letter| char::from(*letter).to_string().repeat(40))
}

/// What a node answers to the engine's own frames.
pub(super) fn control(text: &mut String, frame: ControlFrame, node: usize, how: usize) {
    let map = MAPS[how % MAPS.len()];
    match frame {
        ControlFrame::Hello { proto, .. } if how & 16 != 0 && proto == 3 => *text += "-NOPROTO no such protocol\r\n",
        ControlFrame::Hello { .. } => *text += "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n",
        ControlFrame::Ping { nonce } => *text += &format!("$8\r\n{nonce:08x}\r\n"),
        ControlFrame::ClusterMyId => *text += &format!("$40\r\n{}\r\n", node_id(node)),
        ControlFrame::ClusterSlots | ControlFrame::ClusterNodes if how & 32 != 0 => {
            *text += "-LOADING the dataset is in memory soon\r\n";
        }
        ControlFrame::ClusterSlots => {
            *text += &format!("*{}\r\n", map.len());
            for (first, last, owner) in map {
                *text += &format!("*3\r\n:{first}\r\n:{last}\r\n*4\r\n$9\r\n127.0.0.1\r\n");
                *text += &format!(":{}\r\n$40\r\n{}\r\n*0\r\n", 7_000 + owner, node_id(*owner));
            }
        }
        ControlFrame::ClusterNodes => {
            let mut lines = String::new();
            for other in 0..3 {
                let flags = if other == node { "myself,master" } else { "master" };
                let port = 7_000 + other;
                lines += &format!("{} 127.0.0.1:{port}@1{port} {flags} - 0 0 {} connected", node_id(other), other + 1);
                for (first, last, owner) in map {
                    if *owner == other {
                        lines += &format!(" {first}-{last}");
                    }
                }
                lines += "\n";
            }
            *text += &format!("${}\r\n{lines}\r\n", lines.len());
        }
        _ => *text += "+OK\r\n",
    }
}

/// What a node answers to a command of the application.
pub(super) fn command(text: &mut String, spec: &CommandSpec, how: usize, resp2: bool) {
    let tag = spec.tag;
    let slot = spec.target.slot().map_or(0, Slot::get);
    let error = match how % 16 {
        1 => Some(format!("-MOVED {slot} 127.0.0.1:{}\r\n", 7_000 + how / 16 % 4)),
        2 => Some(format!("-ASK {slot} 127.0.0.1:{}\r\n", 7_000 + how / 16 % 4)),
        3 => Some("-TRYAGAIN not yet\r\n".into()),
        4 => Some("-CLUSTERDOWN Hash slot not served\r\n".into()),
        5 => Some(format!("-ERR t{tag}\r\n")),
        6 => Some(format!("-MOVED {slot} :7001\r\n")),
        7 => Some("-MOVED 1 127.0.0.1:7001\r\n".into()),
        8 => Some("-READONLY You can't write against a read only replica.\r\n".into()),
        _ => None,
    };
    let value = match how % 16 {
        9 => format!("*2\r\n$-1\r\n+t{tag}\r\n"),
        10 => format!("*2\r\n-ERR inside\r\n*1\r\n*1\r\n+t{tag}\r\n"),
        11 => format!("${}\r\n{}t{tag}\r\n", 300 + format!("t{tag}").len(), ".".repeat(300)),
        _ => format!("+t{tag}\r\n"),
    };
    if spec.replies > 1 {
        // MULTI, one command, EXEC.
        *text += "+OK\r\n";
        match error {
            Some(line) if how & 32 == 0 => *text += &format!("{line}-EXECABORT Transaction discarded\r\n"),
            Some(line) => *text += &format!("+QUEUED\r\n{line}"),
            None => *text += &format!("+QUEUED\r\n*1\r\n{value}"),
        }
    } else if let Some(line) = error {
        *text += &line;
    } else if spec.subscribe {
        let sign = if resp2 { '*' } else { '>' };
        *text += &format!("{sign}3\r\n$10\r\nssubscribe\r\n$1\r\nx\r\n:1\r\n");
    } else {
        *text += &value;
    }
}
