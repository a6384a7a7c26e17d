//! Proof of the whole contract, as users would test it: `tests/contract` knows egressd by its program, its environment and
//! its API only. What it says when it fails names the sentence that is broken.

use crate::support::stage::{self, Takes};
use crate::support::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_records_into_a_bucket_gets_what_was_promised() {
    hold_to_the_contract("bucket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_records_into_a_folder_gets_what_was_promised() {
    hold_to_the_contract("folder").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_requests_get_answers_that_the_description_has() {
    let _turn = stage::turn(Takes::Half).await;
    let mut schema = tools::contract("contract/schema.py");
    tools::output(schema.args(["--egressd", env!("CARGO_BIN_EXE_egressd"), "--requests", "300"]));
}

async fn hold_to_the_contract(mode: &str) {
    let _turn = stage::turn(Takes::Whole).await;
    let mut suite = tools::contract("contract");
    tools::output(suite.args(["--egressd", env!("CARGO_BIN_EXE_egressd"), "--mode", mode]));
}
