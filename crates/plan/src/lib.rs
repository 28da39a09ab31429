//! Seaworthy: plan.
