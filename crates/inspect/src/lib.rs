//! Seaworthy: inspect.
