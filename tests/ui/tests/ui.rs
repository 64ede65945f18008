//! What `#[derive(Crdt)]` accepts, and what it says about the rest.
//!
//! One folder for each topic. The messages are in the `.stderr` file beside a case; `TRYBUILD=overwrite` writes them
//! anew.

#[test]
fn accepted() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

#[test]
fn refused() {
    let cases = trybuild::TestCases::new();
    for topic in ["attribute", "container", "field", "key"] {
        cases.compile_fail(format!("tests/ui/{topic}/*.rs"));
    }
}
