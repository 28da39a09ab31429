//! Verification of 300 ELF and 300 PE files that are not ours, beside whatever else reads or checks such files here.

use std::fs;
use std::path::{Path, PathBuf};

use super::corpus::{self, Corpus};
use super::measure::{self, Line, Times};
use super::peers::{self, Given, Peer};
use super::table::{self, Contender, Format, Grown, Measured, Missing, OURS, OURS_HEADERS};
use crate::failure::{Failure, Message};
use crate::render::Renderer;

/// How often everything is repeated, in turns; the median counts.
const REPEATED: usize = 11;
/// What takes longer than this, in seconds, is measured once.
const SLOW: f64 = 2.0;
/// How many files the linear-time check verifies at a time.
const GROWING: [usize; 3] = [300, 2_000, 20_000];

/// A policy of headers and tables: nothing in it needs every byte of a file.
const HEADERS_ONLY: &str = "[policy]\npath-patterns = []\nchecksum = false\n";

/// Measures and prints.
pub(super) fn run(renderer: &Renderer) -> Result<(), Failure> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    renderer.status("build", "xtask as it ships");
    let ours = measure::release_binary(workspace)?;
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(ours.parent().unwrap_or(workspace));
    let folder = folder.map_err(|error| cannot("make a folder", &error))?;
    let bench = Bench { ours, folder: folder.path(), cache: cache(), renderer };
    bench.write("release.toml", HEADERS_ONLY)?;
    renderer.result(&bench.measure()?, table::text);
    Ok(())
}

struct Bench<'a> {
    ours: PathBuf,
    folder: &'a Path,
    cache: PathBuf,
    renderer: &'a Renderer,
}

impl Bench<'_> {
    fn measure(&self) -> Result<Measured, Failure> {
        let mut missing = Vec::new();
        let elf = corpus::elf()?;
        let elf_folder = self.copies("elf", &elf)?;
        let given = |list, folder| Given { list, folder, cache: &self.cache };
        let list = self.write("elf.list", &elf.list())?;
        let reference = |threads| peers::readelf(&list, elf.files.len(), threads);
        let elf_peers = peers::elf(&given(&list, &elf_folder));
        let mut formats =
            vec![self.format("ELF", "readelf -hldV", &reference, &elf, elf_peers, &mut missing)?];
        match corpus::pe(&self.cache) {
            Some(pe) if peers::installed("x86_64-w64-mingw32-objdump").is_some() => {
                let list = self.write("pe.list", &pe.list())?;
                let reference = |threads| peers::objdump(&list, pe.files.len(), threads);
                let pe_peers = peers::pe(&given(&list, self.folder));
                formats.push(self.format("PE", "objdump -p", &reference, &pe, pe_peers, &mut missing)?);
            }
            Some(_) => missing.push(Missing {
                name: "objdump for PE",
                install: "apt-get install binutils-mingw-w64-x86-64",
            }),
            None => missing.push(Missing { name: "300 PE files", install: corpus::GET_PE_FILES }),
        }
        let growth = self.growth(&elf_folder)?;
        let bars = table::bars(&formats[0].contenders, &growth);
        Ok(Measured { machine: measure::machine(), formats, growth, bars, missing })
    }

    /// Everyone over the files of one format, in turns, so that what disturbs the machine disturbs all.
    fn format(
        &self,
        name: &'static str,
        reference_name: &str,
        reference: &dyn Fn(usize) -> Line,
        corpus: &Corpus,
        peers: Vec<Peer>,
        missing: &mut Vec<Missing>,
    ) -> Result<Format, Failure> {
        let mut lines = Vec::new();
        for threads in [1, 2] {
            lines.push((reference_name.to_owned(), threads, reference(threads)));
            lines.push((OURS.to_owned(), threads, self.ours(&corpus.files, threads, &self.cache)));
            lines.push((OURS_HEADERS.to_owned(), threads, self.ours(&corpus.files, threads, self.folder)));
        }
        for Peer { name, install, line } in peers {
            match line {
                Some(line) => lines.push((name.to_owned(), 1, line)),
                None => missing.push(Missing { name, install }),
            }
        }
        let mut contenders = Vec::new();
        for (name, threads, line) in &lines {
            self.renderer.status("measure", &format!("{name}, {threads} at a time"));
            // The first run also reads the files into memory; it counts only where there is no second.
            let (mut seconds, first) = (Times::default(), line.seconds()?);
            if first > SLOW {
                seconds.push(first);
            }
            let peak_kib = if first > SLOW { 0 } else { line.peak(self.folder)? };
            contenders.push(Contender {
                name: name.clone(),
                threads: *threads,
                seconds,
                ratio: 0.0,
                peak_kib,
            });
        }
        self.renderer.status("measure", &format!("{REPEATED} rounds"));
        for _ in 0..REPEATED {
            for (contender, (_, _, line)) in contenders.iter_mut().zip(&lines) {
                if contender.peak_kib != 0 {
                    contender.seconds.push(line.seconds()?);
                }
            }
        }
        for contender in 0..contenders.len() {
            let threads = contenders[contender].threads;
            let reference =
                contenders.iter().find(|other| other.name == reference_name && other.threads == threads);
            let reference = reference.map_or(f64::NAN, |reference| reference.seconds.median());
            contenders[contender].ratio = contenders[contender].seconds.median() / reference;
        }
        Ok(Format { name, files: corpus.files.len(), bytes: corpus.size, contenders })
    }

    /// Our command line: every rule, JSON written to a file. The policy is that of `workspace`'s release.toml.
    fn ours(&self, paths: &[PathBuf], threads: usize, workspace: &Path) -> Line {
        let mut line = Line::new(&self.ours, &["--quiet", "--format", "json", "verify", "--jobs"]);
        line.arguments.push(threads.to_string().into());
        line.arguments.extend(["--workspace".into(), workspace.into()]);
        line.arguments.extend(paths.iter().map(Into::into));
        line.output = Some(self.folder.join("output.json"));
        line
    }

    /// Time and memory over folders of more and more links to the same files.
    fn growth(&self, elf: &Path) -> Result<Vec<Grown>, Failure> {
        let failed = |error: std::io::Error| cannot("link files", &error);
        let files = fs::read_dir(elf).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        GROWING
            .iter()
            .map(|count| {
                self.renderer.status("measure", &format!("{count} files"));
                let folder = self.folder.join(format!("growth-{count}"));
                fs::create_dir(&folder).map_err(failed)?;
                for (index, file) in files.iter().cycle().take(*count).enumerate() {
                    fs::hard_link(file.path(), folder.join(format!("{index:05}"))).map_err(failed)?;
                }
                let line = self.ours(&[folder], 1, &self.cache);
                let mut seconds = Times::default();
                for _ in 0..3 {
                    seconds.push(line.seconds()?);
                }
                Ok(Grown { files: *count, seconds: seconds.median(), peak_kib: line.peak(self.folder)? })
            })
            .collect()
    }

    /// A folder with copies of the files, for who takes folders only, and to make links to.
    fn copies(&self, name: &str, corpus: &Corpus) -> Result<PathBuf, Failure> {
        let folder = self.folder.join(name);
        let failed = |error: std::io::Error| cannot("copy the files", &error);
        fs::create_dir(&folder).map_err(failed)?;
        for (index, file) in corpus.files.iter().enumerate() {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            fs::copy(file, folder.join(format!("{index:03}-{name}"))).map_err(failed)?;
        }
        Ok(folder)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|error| cannot("write into the bench's folder", &error))?;
        Ok(path)
    }
}

/// Where the bench's peers and PE files may be installed without root.
fn cache() -> PathBuf {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    cache.join("seaworthy/bench")
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::Package(Message::new(format!("cannot {what}: {error}"), "make room in the target folder"))
}
