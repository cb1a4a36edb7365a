//! Draws the made-up records: `cargo run -p queuelab-plot --example fixture -- FOLDER`.

use std::path::PathBuf;

use queuelab_record::{fixture, write_file};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    for (kind, record) in [
        ("sale", fixture::flash_sale()),
        ("streams", fixture::retries_and_streams()),
        ("empty", fixture::empty()),
    ] {
        let page = queuelab_plot::report(&record, None, None);
        write_file(&folder.join(format!("{kind}.html")), page.as_bytes())?;
        for plot in queuelab_plot::plots(&record) {
            write_file(
                &folder.join(format!("{kind}-{}.svg", plot.name)),
                plot.svg.as_bytes(),
            )?;
            write_file(
                &folder.join(format!("{kind}-{}.png", plot.name)),
                &queuelab_plot::png(&plot.svg, 1.0)?,
            )?;
        }
    }
    Ok(())
}
