//! Seaworthy: manifest.
