//! The device line: the op set that the models use, and nothing else.
