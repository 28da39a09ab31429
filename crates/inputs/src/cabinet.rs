//! stub
use crate::{Error, ErrorKind, visit::Visit};
use std::io::Read;
pub(crate) fn read(_: &mut Visit<'_>, archive: &str, _: &mut dyn Read) -> Result<(), Error> {
    Err(Error::new(ErrorKind::Unsupported, format!("{archive} is a cabinet, which is not read here")))
}
