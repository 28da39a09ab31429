//! Seaworthy: finish.
