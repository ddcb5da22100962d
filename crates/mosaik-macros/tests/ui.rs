//! What users are told about their mistakes, word for word.
//!
//! After a change: `TRYBUILD=overwrite cargo test -p mosaik-macros --test ui`,
//! then read the diff.

#[test]
fn mistakes_are_explained() {
	trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
