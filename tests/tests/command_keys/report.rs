//! What was compared, in numbers and as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use slotwise_tests::real::ServerKind;

use crate::exceptions;

/// All commands.
#[derive(Default)]
pub(crate) struct Report {
    lines: BTreeMap<String, Line>,
}

/// One command.
#[derive(Default)]
pub(crate) struct Line {
    /// Argument lists made.
    pub(crate) lists: usize,
    /// Answers of servers that agree.
    pub(crate) agreed: usize,
    /// Exceptions, one for each answer they cover.
    pub(crate) excepted: Vec<&'static str>,
    /// What is wrong.
    pub(crate) wrong: Vec<String>,
    servers: Vec<ServerKind>,
}

impl Line {
    pub(crate) fn asked(&mut self, kind: ServerKind) {
        if !self.servers.contains(&kind) {
            self.servers.push(kind);
        }
    }

    fn verdict(&self) -> &'static str {
        if self.wrong.is_empty() { "right" } else { "WRONG" }
    }

    fn oracle(&self) -> String {
        if self.servers.is_empty() {
            return "key specifications only: no server here knows it".to_owned();
        }
        let names: Vec<_> = self.servers.iter().map(|kind| format!("{kind:?}")).collect();
        let reasons: BTreeSet<_> = self.excepted.iter().copied().map(exceptions::reason).collect();
        let mut text = names.join(", ");
        for reason in reasons {
            write!(text, "; by hand: {reason}").unwrap();
        }
        text
    }
}

impl Report {
    pub(crate) fn line(&mut self, name: &str) -> &mut Line {
        self.lines.entry(name.to_owned()).or_default()
    }

    pub(crate) fn used(&self, exception: &str) -> bool {
        self.lines.values().any(|line| line.excepted.contains(&exception))
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.lines.iter().flat_map(|(name, line)| line.wrong.iter().map(move |why| format!("{name}: {why}"))).collect()
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::from("command\tkeys\tlists\tagreed\texcepted\toracle\n");
        for (name, line) in &self.lines {
            let (verdict, oracle) = (line.verdict(), line.oracle());
            writeln!(text, "{name}\t{verdict}\t{}\t{}\t{}\t{oracle}", line.lists, line.agreed, line.excepted.len())
                .unwrap();
        }
        text
    }

    pub(crate) fn print(&self) {
        let lines = || self.lines.values();
        let unchecked: Vec<_> =
            self.lines.iter().filter(|(_, line)| line.servers.is_empty()).map(|(name, _)| name).collect();
        println!("commands and subcommands      {}", self.lines.len());
        println!("  checked against a server    {}", self.lines.len() - unchecked.len());
        println!("  not known to a server here  {}", unchecked.len());
        println!("argument lists                {}", lines().map(|line| line.lists).sum::<usize>());
        println!("answers that agree            {}", lines().map(|line| line.agreed).sum::<usize>());
        println!("answers under an exception    {}", lines().map(|line| line.excepted.len()).sum::<usize>());
        println!("wrong                         {}", lines().map(|line| line.wrong.len()).sum::<usize>());
        for id in lines().flat_map(|line| &line.excepted).collect::<BTreeSet<_>>() {
            let count = lines().flat_map(|line| &line.excepted).filter(|other| other == &id).count();
            println!("exception {id} ({count} answers): {}", exceptions::reason(id));
        }
        println!("not checked: {unchecked:?}");
    }
}
