//! Seaworthy: provenance.
