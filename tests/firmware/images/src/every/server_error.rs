//! Functions of server errors.

use super::*;
use slotwise::server_error::*;

pub(super) fn keep() {
    keep![
        Executed::name,
        RetryWhere::name,
        ErrorKind::name,
        ServerError::parse,
        ServerError::kind,
        ServerError::code,
        ServerError::text,
        ServerError::from_script,
        ServerError::redirect,
        ServerError::redirect_error,
        ServerError::target,
        ServerError::inner,
        ServerError::class,
        ServerError::class_for,
        <ServerError as fmt::Display>::fmt,
        Redirect::slot,
        Redirect::target,
        Redirect::is_ask,
        RedirectError::name,
        <RedirectError as fmt::Display>::fmt,
    ];
}
