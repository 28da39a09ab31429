//! Seaworthy: smoke.
