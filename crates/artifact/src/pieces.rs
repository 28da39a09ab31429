//! A file's bytes, a piece after the other.

use std::io;

/// Bytes that can be gone through once more without keeping them: every page of a mapped file that is looked at stays in
/// memory as long as the map, and two threads wait for each other where pages come and go.
pub trait Pieces: Sync {
    /// Calls `take` with one piece after the other until the end: its offset in the file, and its bytes, which begin with the
    /// last `overlap` bytes of the piece before. `take` is not called for a file without bytes. An error where the file
    /// cannot be read, or not to the end that it had.
    fn each_piece(&self, overlap: usize, take: &mut dyn FnMut(usize, &[u8])) -> io::Result<()>;
}
