//! Tells the program which commit it is built from, where that is known: sources without git build as well.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Only the project's own repository: the sources may lie inside another one.
    let git = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.git");
    // Written to by every commit, checkout and reset.
    let log = git.join("logs/HEAD");
    if !git.is_dir() {
        return;
    }
    if log.is_file() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(&git)
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    if let Some(output) = output.ok().filter(|output| output.status.success()) {
        let commit = String::from_utf8_lossy(&output.stdout);
        println!("cargo::rustc-env=QUEUELAB_COMMIT={}", commit.trim());
    }
}
