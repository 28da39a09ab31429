//! Why a file is not finished.

/// An error of this crate.
pub type Error = artifact::Fault<ErrorKind>;

/// Why a file is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Reading or writing failed.
    Io,
    /// The file changed between the build and now.
    Changed,
    /// The bytes are not what their format says: cut off, contradictory or hostile.
    Malformed,
    /// A valid file of a kind that is not edited: another class, appended data, odd layout.
    Unsupported,
    /// The file is signed; any edit would break the signature.
    Signed,
    /// The PE has no base relocations, so ASLR cannot be promised.
    NoRelocations,
    /// A section that was to be dropped is needed at run time.
    SectionNeeded,
    /// Sections that were to be merged are not neighbours, or the program would change if they were.
    SectionsApart,
    /// The request itself cannot be met: a time out of range, a name too long, an output over the input.
    Request,
    /// The finished bytes failed the comparison with the built ones: a defect of this crate.
    SelfCheck,
}

impl artifact::FaultKind for ErrorKind {}
