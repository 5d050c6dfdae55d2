//! The grader: runs each task in a process of its own and collects verdicts.
