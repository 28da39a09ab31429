//! Seaworthy: verify.
