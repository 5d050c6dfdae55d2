//! The examiner: checks, named mistakes, verdicts.
