//! Seaworthy: compile.
