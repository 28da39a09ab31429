//! What cargo says of the workspace: its root, the product's package, version and binaries.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

use crate::config::Product;
use crate::{Error, ErrorKind};

/// The product as the workspace has it.
pub(crate) struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target_dir: PathBuf,
    metadata: Metadata,
}

/// The package to release.
pub(crate) struct Released {
    /// Its name.
    pub(crate) package: String,
    /// Its version.
    pub(crate) version: String,
    /// Its binaries to ship, in the order asked for.
    pub(crate) binaries: Vec<String>,
}

impl Workspace {
    /// The workspace that `folder` is in.
    pub(crate) fn find(folder: &Path) -> Result<Workspace, Error> {
        let metadata = MetadataCommand::new().current_dir(folder).no_deps().exec().map_err(|error| {
            Error::new(
                ErrorKind::Workspace,
                format!("cargo cannot read the workspace at {}", folder.display()),
            )
            .with_source(error)
        })?;
        Ok(Workspace {
            root: metadata.workspace_root.clone().into(),
            target_dir: metadata.target_directory.clone().into(),
            metadata,
        })
    }

    /// The package and binaries that `product` names, or the only ones there are.
    pub(crate) fn released(&self, product: &Product) -> Result<Released, Error> {
        let package = match &product.package {
            Some(name) => self.package(name)?,
            None => self.only_package_with_a_binary()?,
        };
        let all = binaries(package);
        let shipped = product.binaries.clone().unwrap_or_else(|| all.clone());
        if let Some(unknown) = shipped.iter().find(|binary| !all.contains(binary)) {
            let message = format!("package `{}` has no binary `{unknown}`", package.name);
            let hint = format!("`product.binaries` in release.toml: its binaries are {}", all.join(", "));
            return Err(Error::new(ErrorKind::Workspace, message).with_hint(hint));
        }
        if shipped.is_empty() {
            let message = format!("package `{}` has no binary to release", package.name);
            return Err(Error::new(ErrorKind::Workspace, message)
                .with_hint("name another package under `product.package` in release.toml"));
        }
        Ok(Released {
            package: package.name.to_string(),
            version: package.version.to_string(),
            binaries: shipped,
        })
    }

    fn package(&self, name: &str) -> Result<&Package, Error> {
        let packages = self.metadata.workspace_packages();
        let names: Vec<_> = packages.iter().map(|package| package.name.to_string()).collect();
        packages.into_iter().find(|package| package.name.as_str() == name).ok_or_else(|| {
            Error::new(ErrorKind::Workspace, format!("the workspace has no package `{name}`")).with_hint(
                format!("`product.package` in release.toml: its packages are {}", names.join(", ")),
            )
        })
    }

    fn only_package_with_a_binary(&self) -> Result<&Package, Error> {
        let mut candidates = self.metadata.workspace_default_packages();
        candidates.retain(|package| !binaries(package).is_empty());
        match candidates[..] {
            [package] => Ok(package),
            [] => Err(Error::new(
                ErrorKind::Workspace,
                format!("no package of the workspace {} has a binary", self.root.display()),
            )
            .with_hint("a release ships programs: add a `[[bin]]`")),
            _ => {
                let names: Vec<_> = candidates.iter().map(|package| package.name.as_str()).collect();
                let message = format!("several packages have binaries: {}", names.join(", "));
                Err(Error::new(ErrorKind::Workspace, message)
                    .with_hint("write `package = \"…\"` under `[product]` in release.toml"))
            }
        }
    }
}

fn binaries(package: &Package) -> Vec<String> {
    let is_binary = |target: &&cargo_metadata::Target| target.kind.contains(&TargetKind::Bin);
    package.targets.iter().filter(is_binary).map(|target| target.name.clone()).collect()
}
