//! Interleaved samples and their medians.

use std::time::{Duration, Instant};

/// How long a run measures.
#[derive(Clone, Copy)]
pub struct Effort {
    pub samples: usize,
    /// A sample repeats its work until it takes about this long.
    pub sample: Duration,
    /// A single pass that takes longer than this is stopped.
    pub pass: Duration,
}

impl Effort {
    pub fn new(quick: bool) -> Self {
        let (samples, sample, pass) = if quick { (9, 1, 500) } else { (25, 3, 2_000) };
        Self { samples, sample: Duration::from_millis(sample), pass: Duration::from_millis(pass) }
    }
}

/// What was measured for one contestant on one workload.
#[derive(Clone, Debug)]
pub enum Figure {
    /// Nanoseconds per unit of work: the median, the least, and how many samples.
    Timed { median: f64, least: f64, samples: usize },
    /// The pass did not end within the budget; at least this many nanoseconds per unit.
    AtLeast(f64),
    /// Not run, with the reason.
    None(&'static str),
}

impl Figure {
    /// The median, or the lower bound.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Timed { median, .. } => Some(*median),
            Self::AtLeast(value) => Some(*value),
            Self::None(_) => None,
        }
    }
}

/// One contestant's timed work: does it once and says how far it got (`None`: all of it).
pub type Pass<'c> = Box<dyn FnMut(Option<Duration>) -> Option<f64> + 'c>;

/// Times all passes interleaved: one sample of each in turn, as often as the effort says.
pub fn interleaved(passes: Vec<Result<Pass<'_>, &'static str>>, units: f64, effort: Effort) -> Vec<Figure> {
    struct Slot<'c> {
        pass: Pass<'c>,
        repeats: u32,
        wanted: usize,
        samples: Vec<f64>,
        bound: Option<f64>,
    }
    let mut slots: Vec<Result<Slot<'_>, &'static str>> = passes
        .into_iter()
        .map(|pass| {
            let mut pass = pass?;
            // The first pass warms up, the second says how many fit in a sample.
            let mut took = Duration::ZERO;
            let mut bound = None;
            for _ in 0..2 {
                let start = Instant::now();
                let stopped = pass(Some(effort.pass));
                took = start.elapsed();
                if let Some(part) = stopped {
                    // What is left would cost at least as much per unit as what was done.
                    bound = Some(took.as_nanos() as f64 / part.max(1e-9) / units);
                    break;
                }
            }
            let repeats = (effort.sample.as_nanos() / took.as_nanos().max(1)).clamp(1, 1_000_000) as u32;
            // A pass of a second is not repeated nine times.
            let wanted = if took > Duration::from_millis(300) { 3 } else { effort.samples };
            Ok(Slot { pass, repeats, wanted, samples: Vec::new(), bound })
        })
        .collect();
    for round in 0..effort.samples {
        for slot in slots.iter_mut().flatten().filter(|slot| slot.bound.is_none() && round < slot.wanted) {
            let start = Instant::now();
            for _ in 0..slot.repeats {
                (slot.pass)(None);
            }
            slot.samples.push(start.elapsed().as_nanos() as f64 / f64::from(slot.repeats) / units);
        }
    }
    slots
        .into_iter()
        .map(|slot| match slot {
            Err(reason) => Figure::None(reason),
            Ok(Slot { bound: Some(bound), .. }) => Figure::AtLeast(bound),
            Ok(mut slot) => {
                slot.samples.sort_by(f64::total_cmp);
                let samples = slot.samples.len();
                Figure::Timed { median: slot.samples[samples / 2], least: slot.samples[0], samples }
            }
        })
        .collect()
}
