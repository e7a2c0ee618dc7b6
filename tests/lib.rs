//! End-to-end tests of the pair; each file beside this one is a test.
