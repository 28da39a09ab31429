//! A release, published and built again: every archive, and every file in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use artifact::Digest;
use inputs::{Bytes, Limits};
use manifest::{File, Manifest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive;
use crate::error::cannot_read;
use crate::{Cause, CauseKind, Compared, Error, ErrorKind, Verdict, compare};

/// One archive of a release, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileComparison {
    /// The archive.
    pub file: Compared,
    /// SHA-256 of the archive as published, from its manifest.
    pub published_sha256: Digest,
    /// SHA-256 of the archive that was built again; missing where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt_sha256: Option<Digest>,
    /// Its members, where the archives are not the same bytes.
    pub members: Vec<Compared>,
}

/// The worst verdict of `files`; of none, that nothing could be said.
pub fn worst(files: &[FileComparison]) -> Verdict {
    files.iter().map(|file| file.file.verdict).max().unwrap_or(Verdict::Cannot)
}

/// Compares the archives that `published`'s manifest names in the folders of both releases.
///
/// A published archive that is not in its folder is compared by what its manifest says: enough to tell that nothing
/// differs, and not enough to tell why something does.
pub fn compare_release(
    (folder, published): (&Path, &Manifest),
    (rebuilt_folder, rebuilt): (&Path, &Manifest),
) -> Result<Vec<FileComparison>, Error> {
    let mut files = Vec::new();
    for file in &published.files {
        let Some(again) = rebuilt.files.iter().find(|again| again.name == file.name) else {
            let missing = format!("an archive `{}` built again; there is none of that name", file.name);
            let file = FileComparison {
                file: Compared::cannot(&file.name, missing),
                published_sha256: file.sha256,
                rebuilt_sha256: None,
                members: Vec::new(),
            };
            files.push(file);
            continue;
        };
        files.push(compare_file((folder, file), (rebuilt_folder, again))?);
    }
    Ok(files)
}

fn compare_file(
    (folder, published): (&Path, &File),
    (rebuilt_folder, rebuilt): (&Path, &File),
) -> Result<FileComparison, Error> {
    let result = |file: Compared, members: Vec<Compared>| FileComparison {
        file,
        published_sha256: published.sha256,
        rebuilt_sha256: Some(rebuilt.sha256),
        members,
    };
    if published.sha256 == rebuilt.sha256 {
        return Ok(result(Compared::identical(&published.name), Vec::new()));
    }
    let path = folder.join(&published.name);
    if !path.is_file() {
        return Ok(result(
            Compared::cannot(&published.name, not_there(&path, published, rebuilt)),
            Vec::new(),
        ));
    }
    let (digest, _) = Digest::of_file(&path).map_err(|cause| cannot_read(&path, cause))?;
    if digest != published.sha256 {
        let missing = format!("{} as it was published: its sha256 is {digest}", path.display());
        return Ok(result(Compared::cannot(&published.name, missing), Vec::new()));
    }
    compare_archives(&published.name, &path, &rebuilt_folder.join(&rebuilt.name))
        .map(|(file, members)| result(file, members))
}

/// What is missing for a comparison, with what the manifests alone tell.
fn not_there(path: &Path, published: &File, rebuilt: &File) -> String {
    let digests = |file: &File| -> BTreeMap<String, Digest> {
        file.members.iter().map(|member| (member.path.clone(), member.sha256)).collect()
    };
    let (ours, theirs) = (digests(published), digests(rebuilt));
    let differing: Vec<_> = ours
        .iter()
        .filter(|(path, digest)| theirs.get(*path) != Some(digest))
        .map(|(path, _)| path.as_str())
        .collect();
    let told = match differing.as_slice() {
        [] => "all members are the same".to_owned(),
        names => format!("these members differ: {}", names.join(", ")),
    };
    format!("{}, to see why it differs ({told})", path.display())
}

/// Compares two files: as archives where both are such, else as what they are.
pub fn compare_files(published: &Path, rebuilt: &Path) -> Result<FileComparison, Error> {
    let read = |path: &Path| fs::read(path).map_err(|cause| cannot_read(path, cause));
    let (ours, theirs) = (read(published)?, read(rebuilt)?);
    let name = published.file_name().unwrap_or(published.as_os_str()).to_string_lossy();
    let (published_sha256, rebuilt_sha256) = (Digest::of(&ours), Some(Digest::of(&theirs)));
    let (file, members) = if ours != theirs && archive::is_one(&ours) && archive::is_one(&theirs) {
        compare_archives(&name, published, rebuilt)?
    } else {
        (compare(&name, &ours, &theirs), Vec::new())
    };
    Ok(FileComparison { file, published_sha256, rebuilt_sha256, members })
}

/// Compares two archives, member by member, and as archives.
pub fn compare_archives(
    name: &str,
    published: &Path,
    rebuilt: &Path,
) -> Result<(Compared, Vec<Compared>), Error> {
    let (ours, theirs) = (members(published)?, members(rebuilt)?);
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut members = Vec::new();
    for name in names {
        match (ours.get(name), theirs.get(name)) {
            (Some(one), Some(other)) if one[..] == other[..] => {}
            (Some(one), Some(other)) => members.push(compare(name, one, other)),
            (Some(_), None) => members.push(Compared::cannot(name, "this member, built again")),
            _ => members.push(Compared::cannot(name, "this member, as published")),
        }
    }
    let mut causes = archive::causes(&archive::list(published)?, &archive::list(rebuilt)?);
    let worst = members.iter().map(|member| member.verdict).max();
    if worst.is_some() {
        let which: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        causes.insert(0, Cause::new(CauseKind::Members, which.join(", ")));
    } else if causes.is_empty() {
        let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let (one, other) = (size(published), size(rebuilt));
        let detail = format!("the same members and metadata in {one} bytes, built again in {other}");
        causes.push(Cause::new(CauseKind::Compressor, detail));
    }
    let is_only_members = causes.len() == 1;
    let mut file = Compared::by_causes(name, causes, Vec::new());
    if let Some(worst) = worst {
        let of_archive = if is_only_members { Verdict::Identical } else { Verdict::Explained };
        file.verdict = worst.max(of_archive);
        file.missing = (worst == Verdict::Cannot).then(|| "members: see there".to_owned());
    }
    Ok((file, members))
}

fn members(path: &Path) -> Result<BTreeMap<String, Bytes>, Error> {
    let mut members = BTreeMap::new();
    inputs::members(path, &Limits::default(), &mut |input| {
        let name = input.name.split_once('!').map_or(input.name.as_str(), |(_, member)| member).to_owned();
        members.insert(name, input.bytes);
    })
    .map_err(|error| Error::new(ErrorKind::Io, format!("{}: {error}", path.display())).with_source(error))?;
    Ok(members)
}
