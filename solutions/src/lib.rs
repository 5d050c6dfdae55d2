//! Answers, other right answers, and known-wrong twins.
