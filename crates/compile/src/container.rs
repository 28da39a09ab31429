//! In a container without network: the pinned images of `docker/`.

use std::path::{Path, PathBuf};

use artifact::{Engine, Events};

use crate::{CompileRequest, Error, ErrorKind};

/// Builds in `image` (its own ID) with `engine`; `sysroot` is mounted read-only.
pub(crate) fn build(
    request: &CompileRequest,
    engine: Engine,
    image: &str,
    sysroot: &Path,
    _events: Events<'_>,
) -> Result<PathBuf, Error> {
    let message = format!(
        "{}: {} cannot build in image {image} with {} yet",
        request.target,
        engine.program(),
        sysroot.display()
    );
    Err(Error::new(ErrorKind::EngineFailed, message).with_hint("pass `--builder zig`"))
}
