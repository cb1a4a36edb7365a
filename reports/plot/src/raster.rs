//! SVG to PNG.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use thiserror::Error;

/// Why an SVG document did not become a PNG.
#[derive(Debug, Error)]
pub enum Error {
    /// It is not SVG.
    #[error("failed to read the SVG: {0}")]
    Svg(String),
    /// The picture would have no pixels, or more than 64 million.
    #[error("failed to draw {width:.0} × {height:.0} pixels")]
    Size {
        /// Pixels across.
        width: f32,
        /// Pixels down.
        height: f32,
    },
    /// It could not be compressed.
    #[error("failed to encode the PNG: {0}")]
    Encode(String),
}

/// Draws an SVG document at `scale` pixels per unit. Its text is drawn with the font that [`plots`](crate::plots) uses; the
/// machine's own fonts are never consulted.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, Error> {
    let options = Options {
        fontdb: fonts(),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| Error::Svg(error.to_string()))?;
    let (width, height) = (tree.size().width() * scale, tree.size().height() * scale);
    // Not-a-number is not drawable either.
    let drawable = scale > 0.0 && width * height <= 64e6;
    let (across, down) = (width.round() as u32, height.round() as u32);
    let pixmap = if drawable {
        Pixmap::new(across, down)
    } else {
        None
    };
    let mut pixmap = pixmap.ok_or(Error::Size { width, height })?;
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixmap.as_mut(),
    );
    pixmap
        .encode_png()
        .map_err(|error| Error::Encode(error.to_string()))
}

fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let load = || {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}
