//! Room `server_error`.
