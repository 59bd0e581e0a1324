//! Logging, in one place: defmt if the feature is on, else `log`, else a type-checked nothing.
//!
//! Only positional `{}` and `{:?}` without width or precision, which all three understand. Never a value, a key
//! or a secret.

macro_rules! debug {
    ($s:literal $(, $x:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        ::defmt::debug!($s $(, $x)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        ::log::debug!($s $(, $x)*);
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        { let _ = ($(&$x,)*); }
    }};
}

macro_rules! warning {
    ($s:literal $(, $x:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        ::defmt::warn!($s $(, $x)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        ::log::warn!($s $(, $x)*);
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        { let _ = ($(&$x,)*); }
    }};
}

#[allow(unused_imports, unused_macros, reason = "the rooms that log decide which level they use")]
pub(crate) use {debug, warning};
