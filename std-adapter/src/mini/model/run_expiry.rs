//! Keys that expire.

use super::client::Words;
use super::replication::Effect;
use super::reply::Out;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::store::{Entry, Object};
use super::{ClientId, Model, Profile};
use std::time::Duration;

/// Unit and base of a time in a command.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    seconds: bool,
    absolute: bool,
}

/// EX, PX, EXAT, PXAT.
pub(super) fn clock_of(option: &[u8]) -> Option<Clock> {
    let (seconds, absolute) = match option.to_ascii_uppercase().as_slice() {
        b"EX" => (true, false),
        b"PX" => (false, false),
        b"EXAT" => (true, true),
        b"PXAT" => (false, true),
        _ => return None,
    };
    Some(Clock { seconds, absolute })
}

impl Clock {
    /// Milliseconds of the model's time; negative: long ago. `None`: too far away to be counted.
    fn millis(self, number: i64, now: Duration) -> Option<i64> {
        let millis = if self.seconds { number.checked_mul(1000)? } else { number };
        if self.absolute { Some(millis) } else { millis.checked_add(i64::try_from(now.as_millis()).ok()?) }
    }

    /// When a key written now ends. The error is the server's, for command `name`.
    pub(super) fn expiry(self, text: &[u8], now: Duration, name: &str) -> Result<Duration, String> {
        let number = number(text).ok_or(NOT_INTEGER)?;
        let millis = if number > 0 { self.millis(number, now) } else { None };
        match millis.and_then(|millis| u64::try_from(millis).ok()) {
            Some(millis) => Ok(Duration::from_millis(millis)),
            None => Err(format!("ERR invalid expire time in '{name}' command")),
        }
    }
}

pub(super) fn expire(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    set_expiry(model, id, words, out, "expire", Clock { seconds: true, absolute: false });
}

pub(super) fn pexpire(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    set_expiry(model, id, words, out, "pexpire", Clock { seconds: false, absolute: false });
}

pub(super) fn expireat(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    set_expiry(model, id, words, out, "expireat", Clock { seconds: true, absolute: true });
}

pub(super) fn pexpireat(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    set_expiry(model, id, words, out, "pexpireat", Clock { seconds: false, absolute: true });
}

/// `EXPIRE key time [NX | XX | GT | LT]`, conditions from Redis 7.0 on.
fn set_expiry(model: &mut Model, id: ClientId, words: &Words, out: &mut Out, name: &str, clock: Clock) {
    let [_, key, time, options @ ..] = words else { return };
    if model.profile(id) == Profile::Redis62 && !options.is_empty() {
        return out.error(super::process::wrong_number(name));
    }
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for option in options {
        match option.to_ascii_lowercase().as_slice() {
            b"nx" => nx = true,
            b"xx" => xx = true,
            b"gt" => gt = true,
            b"lt" => lt = true,
            _ => return out.error([b"ERR Unsupported option ", option.as_slice()].concat()),
        }
    }
    if nx && (xx || gt || lt) {
        return out.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    }
    if gt && lt {
        return out.error("ERR GT and LT options at the same time are not compatible");
    }
    let Some(number) = number(time) else { return out.error(NOT_INTEGER) };
    let Some(millis) = clock.millis(number, model.now) else {
        return out.error(format!("ERR invalid expire time in '{name}' command"));
    };
    let Some(entry) = model.entry(id, key).cloned() else { return out.int(0) };
    let at = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let old = entry.expires;
    // No expiry counts as one at the end of time.
    let refused = nx && old.is_some()
        || xx && old.is_none()
        || gt && old.is_none_or(|old| at <= old)
        || lt && old.is_some_and(|old| at >= old);
    if refused {
        return out.int(0);
    }
    if at <= model.now || millis < 0 {
        model.delete(id, key);
    } else {
        model.put_entry(id, key, Entry { expires: Some(at), ..entry });
    }
    out.int(1);
}

pub(super) fn ttl(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    left(model, id, words, out, 1000);
}

pub(super) fn pttl(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    left(model, id, words, out, 1);
}

fn left(model: &mut Model, id: ClientId, words: &Words, out: &mut Out, unit: u128) {
    let now = model.now;
    out.int(match model.entry(id, &words[1]).map(|entry| entry.expires) {
        None => -2,
        Some(None) => -1,
        // Rounded to the nearest, as servers do.
        Some(Some(at)) => i64::try_from((at.saturating_sub(now).as_millis() + unit / 2) / unit).unwrap_or(i64::MAX),
    });
}

pub(super) fn persist(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.entry(id, &words[1]).cloned() {
        Some(entry) if entry.expires.is_some() => {
            model.put_entry(id, &words[1], Entry { expires: None, ..entry });
            out.int(1);
        }
        _ => out.int(0),
    }
}

pub(super) fn setex(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    set_with(model, id, words, out, "setex", Clock { seconds: true, absolute: false });
}

pub(super) fn psetex(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    set_with(model, id, words, out, "psetex", Clock { seconds: false, absolute: false });
}

fn set_with(model: &mut Model, id: ClientId, words: &Words, out: &mut Out, name: &str, clock: Clock) {
    match clock.expiry(&words[2], model.now, name) {
        Ok(at) => {
            let object = Object::Text(words[3].clone());
            model.put_entry(id, &words[1], Entry { object, expires: Some(at) });
            out.ok();
        }
        Err(text) => out.error(text),
    }
}

/// `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`
pub(super) fn getex(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let (mut persist, mut time) = (false, None);
    let mut rest = words[2..].iter();
    while let Some(option) = rest.next() {
        match clock_of(option) {
            _ if persist || time.is_some() => return out.error(SYNTAX),
            Some(clock) => match rest.next() {
                Some(number) => time = Some((clock, number)),
                None => return out.error(SYNTAX),
            },
            None if option.eq_ignore_ascii_case(b"persist") => persist = true,
            None => return out.error(SYNTAX),
        }
    }
    let at = time.map(|(clock, number)| clock.expiry(number, model.now, "getex")).transpose();
    // The newest server looks at the time first, the others at the key.
    if let (Err(error), Profile::Valkey9) = (&at, model.profile(id)) {
        return out.error(error);
    }
    let Some(entry) = model.entry(id, &words[1]).cloned() else { return out.null() };
    let Object::Text(text) = &entry.object else { return out.error(super::run_strings::WRONG_TYPE) };
    let at = match at {
        Ok(at) => at,
        Err(error) => return out.error(error),
    };
    out.bulk(text);
    match at {
        Some(at) if at <= model.now => drop(model.delete(id, &words[1])),
        Some(_) => model.put_entry(id, &words[1], Entry { expires: at, ..entry }),
        None if persist && entry.expires.is_some() => {
            model.put_entry(id, &words[1], Entry { expires: None, ..entry });
        }
        None => {}
    }
}

pub(super) fn getdel(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match model.entry(id, &words[1]).map(|entry| entry.object.clone()) {
        None => out.null(),
        Some(Object::Text(text)) => {
            out.bulk(text);
            model.change(model.node_of(id), Effect::Key(words[1].clone(), None));
        }
        Some(_) => out.error(super::run_strings::WRONG_TYPE),
    }
}
