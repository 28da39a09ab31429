//! stub
use crate::{Error, ErrorKind, visit::Visit};
pub(crate) fn is_one(_: &[u8]) -> bool {
    false
}
pub(crate) fn read(_: &mut Visit<'_>, archive: &str, _: &[u8]) -> Result<(), Error> {
    Err(Error::new(ErrorKind::Unsupported, format!("{archive} is an installer, which is not read here")))
}
