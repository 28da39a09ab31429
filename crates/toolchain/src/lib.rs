//! Seaworthy: toolchain.
