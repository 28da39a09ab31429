//! Seaworthy, as a library for its two programs.
