//! Seaworthy: package.
