//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use super::client::{Transaction, Words};
use super::commands;
use super::ledger::Inside;
use super::reply::Out;
use super::{ClientId, Model, Profile};

pub(super) fn multi(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    if model.client(id).transaction.is_some() {
        return refuse(model, id, out, "ERR MULTI calls can not be nested");
    }
    model.client(id).transaction = Some(Transaction::default());
    out.ok();
}

/// Redis goes on with the transaction; with Valkey 8 it will not run any more.
fn refuse(model: &mut Model, id: ClientId, out: &mut Out, text: &str) {
    if model.profile(id) == Profile::Valkey8 {
        return model.reject(id, out, text);
    }
    out.error(text);
}

pub(super) fn exec(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    let Some(transaction) = model.client(id).transaction.take() else {
        return out.error("ERR EXEC without MULTI");
    };
    let touched = model.client(id).touched;
    model.client(id).unwatch();
    if transaction.refused {
        return out.error("EXECABORT Transaction discarded because of previous errors.");
    }
    if touched {
        return out.null_array();
    }
    out.array(transaction.queued.len());
    let exec = model.client(id).number;
    for (number, words) in &transaction.queued {
        // Only known commands were queued.
        if let Some(command) = commands::find(&words[0]) {
            let (before, start) = (model.changes, out.bytes.len());
            model.client(id).in_exec = true;
            (command.run)(model, id, words, out);
            model.remember_read(id, command, words);
            model.client(id).in_exec = false;
            let failed = out.bytes.get(start) == Some(&b'-');
            model.note_execution(id, *number, Inside::Transaction(exec), words, before, failed);
        }
    }
}

pub(super) fn discard(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    if model.client(id).transaction.take().is_none() {
        return out.error("ERR DISCARD without MULTI");
    }
    model.client(id).unwatch();
    out.ok();
}

pub(super) fn watch(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    if model.client(id).transaction.is_some() {
        return refuse(model, id, out, "ERR WATCH inside MULTI is not allowed");
    }
    let keys = words[1..].iter().cloned();
    model.client(id).watched.extend(keys);
    model.watching.insert(id.0);
    out.ok();
}

pub(super) fn unwatch(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    model.client(id).unwatch();
    out.ok();
}
