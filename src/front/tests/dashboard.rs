//! The Grafana dashboard queries only metrics that `docs/operations.md` lists.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const DASHBOARD: &str = include_str!("../../../docker/grafana/egressd.json");
const DOCUMENTED: &str = include_str!("../../../docs/operations.md");

/// Returns the names of all egressd metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices("egressd_").map(|(at, _)| at);
    let name = |at: usize| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    };
    starts.map(name).collect()
}

/// Returns the metrics in the first column of the table.
fn documented() -> BTreeSet<&'static str> {
    let rows = DOCUMENTED.lines().filter(|line| line.starts_with("| `egressd_"));
    rows.flat_map(|row| metrics_in(row.split('|').nth(1).unwrap())).collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

#[test]
fn every_query_is_about_documented_metrics_and_the_chosen_instances() {
    let documented = documented();
    let mut asked = BTreeSet::new();
    for panel in panels().iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            let metrics = metrics_in(query);
            assert!(!metrics.is_empty(), "{query}");
            for metric in metrics {
                assert!(documented.contains(metric), "{metric} is not in docs/operations.md");
                let chosen = format!("{metric}{{job=~\"$job\",instance=~\"$instance\"");
                assert!(query.contains(&chosen), "{query}");
                asked.insert(metric.to_owned());
            }
        }
    }
    let unseen: Vec<_> = documented.iter().filter(|metric| !asked.contains(**metric)).collect();
    assert!(unseen.is_empty(), "the dashboard does not show {unseen:?}");
}

#[test]
fn panels_have_their_own_ids_and_places() {
    let panels = panels();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24, "{panel}");
        for cell in (side("x")..side("x") + side("w"))
            .flat_map(|x| (side("y")..side("y") + side("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert(cell), "{} lies on another panel", panel["title"]);
        }
    }
}

#[tokio::test]
async fn what_is_served_is_documented() {
    let api = Api::start().await;
    let answer = api.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let documented = documented();
    for metric in metrics_in(&answer.body) {
        assert!(documented.contains(metric), "{metric} is not in docs/operations.md");
    }
}
