//! What `#[derive(Crdt)]` says about what it does not accept.
//!
//! One folder for each topic. The messages are in the `.stderr` file beside a case; `TRYBUILD=overwrite` writes them
//! anew.

#[test]
fn refused() {
    let cases = trybuild::TestCases::new();
    for topic in ["attribute", "container", "field", "key"] {
        cases.compile_fail(format!("tests/ui/{topic}/*.rs"));
    }
}
