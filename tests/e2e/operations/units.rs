//! The systemd units that operators are given, read by systemd's own reader.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};
use clawpay_tests::{clawpay, scratch};

/// Of the ten points that systemd gives a service which may do everything, the most that ours may have.
const MOST_EXPOSED: f64 = 2.0;

/// What `systemd-analyze` says; it has no service to ask, only files.
fn analyze(arguments: &[&str], unit: &Path) -> Result<(bool, String)> {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
#[ignore = "needs systemd-analyze on the PATH"]
fn the_units_are_understood_and_leave_services_little_to_do() -> Result<()> {
    let directory = scratch()?;
    let given = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployments/hosting");
    for (given_as, name, command) in
        [("clawpay-index.service", "clawpay-index.service", "index"), ("clawpay-serve@.service", "clawpay-serve@3000.service", "serve")]
    {
        let text = fs::read_to_string(given.join(given_as))?;
        assert!(text.contains(&format!("ExecStart=/usr/local/bin/clawpay {command}\n")), "{given_as}");
        // Nothing is installed here.
        let unit = directory.path().join(name);
        fs::write(&unit, text.replace("/usr/local/bin/clawpay", &clawpay()?.display().to_string()))?;
        let (is_understood, said) = analyze(&["verify", "--man=no"], &unit)?;
        ensure!(is_understood && said.trim().is_empty(), "{given_as}: {said}");
        let (_, said) = analyze(&["security", "--offline=true", "--no-pager"], &unit)?;
        let exposure = said.lines().rev().find_map(|line| line.split("service: ").nth(1)?.split(' ').next()?.parse::<f64>().ok());
        ensure!(exposure.is_some_and(|exposure| exposure < MOST_EXPOSED), "{given_as}: {said}");
    }
    Ok(())
}
