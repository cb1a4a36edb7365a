//! Drawing in pixels: a thin layer over plotters' SVG backend, which only knows whole units. Units here are fractions of
//! a pixel, so that lines are smooth.

use std::sync::Once;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, register_font};

use crate::hover::Hover;
use crate::html::escaped;
use crate::{Plot, hover, theme};

/// Pixels across.
pub(crate) const WIDTH: f64 = 1200.0;
/// Pixels down.
pub(crate) const HEIGHT: f64 = 640.0;

pub(crate) use theme::{ALARM, FAULT, GREY, GRID, INK, PALETTE, PAPER, QUIET};

/// A place in pixels from the upper left.
pub(crate) type Point = (f64, f64);

/// Where text stands relative to its place.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Align {
    Left,
    Centre,
    Right,
}

pub(crate) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a picture; `describe` is read by those who cannot see it. What `draw` returns, panel by panel, is shown where a pointer is over it.
pub(crate) fn picture<H: IntoIterator<Item = Hover>>(
    name: impl Into<String>,
    describe: &str,
    draw: impl FnOnce(&Canvas<'_>) -> H,
) -> Plot {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        let regular = register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular());
        let bold = register_font(FAMILY, FontStyle::Bold, dejavu::sans::bold());
        assert!(
            regular.is_ok() && bold.is_ok(),
            "the embedded fonts are sound"
        );
    });
    let mut svg = String::new();
    let hover = {
        let size = ((WIDTH * FINE) as u32, (HEIGHT * FINE) as u32);
        let canvas = Canvas {
            area: SVGBackend::with_string(&mut svg, size).into_drawing_area(),
        };
        drawn(canvas.area.fill(&PAPER));
        let hover: Vec<Hover> = draw(&canvas).into_iter().collect();
        drawn(canvas.area.present());
        hover
    };
    let body = svg.find('>').map_or("", |end| &svg[end + 1..]);
    let svg = format!(
        "<svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
         stroke-linejoin=\"round\">\n<title>{}</title>{}{body}",
        WIDTH * FINE,
        HEIGHT * FINE,
        escaped(describe),
        theme::style(),
    );
    Plot {
        name: name.into(),
        says: describe.to_string(),
        svg,
        hover: hover::script(&hover),
    }
}

impl Canvas<'_> {
    pub(crate) fn line(&self, points: &[Point], color: RGBColor, width: f64) {
        let points: Vec<_> = points.iter().map(|&point| fine(point)).collect();
        drawn(
            self.area
                .draw(&PathElement::new(points, color.stroke_width(stroke(width)))),
        );
    }

    /// A line of dashes.
    pub(crate) fn dashed(&self, points: &[Point], color: RGBColor, width: f64) {
        let (dash, gap) = ((6.0 * FINE) as u32, (4.0 * FINE) as u32);
        let style = color.stroke_width(stroke(width));
        let points: Vec<_> = points.iter().map(|&point| fine(point)).collect();
        drawn(
            self.area
                .draw(&DashedPathElement::new(points, dash, gap, style)),
        );
    }

    pub(crate) fn fill(&self, outline: &[Point], color: RGBColor, opacity: f64) {
        let outline: Vec<_> = outline.iter().map(|&point| fine(point)).collect();
        drawn(self.area.draw(&Polygon::new(outline, color.mix(opacity))));
    }

    pub(crate) fn rectangle(
        &self,
        upper_left: Point,
        lower_right: Point,
        color: RGBColor,
        opacity: f64,
    ) {
        let style = color.mix(opacity).filled();
        drawn(self.area.draw(&Rectangle::new(
            [fine(upper_left), fine(lower_right)],
            style,
        )));
    }

    /// What lies behind text of some width steps back; `at` is the text's left end, at half its height.
    pub(crate) fn backdrop(&self, at: Point, width: f64) {
        self.rectangle(
            (at.0 - 4.0, at.1 - 11.0),
            (at.0 + width + 4.0, at.1 + 11.0),
            PAPER,
            0.85,
        );
    }

    pub(crate) fn dot(&self, at: Point, radius: f64, color: RGBColor) {
        drawn(
            self.area
                .draw(&Circle::new(fine(at), radius * FINE, color.filled())),
        );
    }

    /// Text whose middle is at the height of `at`.
    pub(crate) fn text(&self, text: &str, at: Point, font: Font, align: Align) {
        let horizontal = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = font.style().pos(Pos::new(horizontal, VPos::Center));
        drawn(self.area.draw(&Text::new(text, fine(at), style)));
    }

    /// Text that reads upwards, its middle at `at`.
    pub(crate) fn upward(&self, text: &str, at: Point, font: Font) {
        let style = font
            .style()
            .pos(Pos::new(HPos::Center, VPos::Center))
            .transform(FontTransform::Rotate270);
        drawn(self.area.draw(&Text::new(text, fine(at), style)));
    }

    /// Pixels that text takes across. plotters measures by the height of a line where SVG means the em square.
    pub(crate) fn width_of(&self, text: &str, font: Font) -> f64 {
        let (width, _) = drawn(self.area.estimate_text_size(text, &font.style()));
        f64::from(width) / FINE / 1.24 * 1.164
    }

    /// Text cut to a width.
    pub(crate) fn fitted(&self, text: &str, font: Font, width: f64) -> String {
        if self.width_of(text, font) <= width {
            return text.to_string();
        }
        let all: Vec<char> = text.chars().take(400).collect();
        let cut = |length: usize| {
            let start: String = all[..length].iter().collect();
            format!("{}…", start.trim_end())
        };
        // The longest that fits.
        let (mut fits, mut excess) = (0, all.len());
        while excess - fits > 1 {
            let middle = (fits + excess) / 2;
            match self.width_of(&cut(middle), font) <= width {
                true => fits = middle,
                false => excess = middle,
            }
        }
        if fits == 0 { String::new() } else { cut(fits) }
    }
}

/// Size in pixels, weight and colour.
#[derive(Clone, Copy)]
pub(crate) struct Font {
    size: f64,
    bold: bool,
    color: RGBColor,
}

impl Font {
    pub(crate) const fn plain(size: f64, color: RGBColor) -> Font {
        Font {
            size,
            bold: false,
            color,
        }
    }

    pub(crate) const fn bold(size: f64, color: RGBColor) -> Font {
        Font {
            size,
            bold: true,
            color,
        }
    }

    fn style(self) -> TextStyle<'static> {
        let style = if self.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        // The SVG backend divides by this factor.
        FontDesc::new(FontFamily::Name(FAMILY), self.size * FINE * 1.24, style).color(&self.color)
    }
}

fn fine((x, y): Point) -> (i32, i32) {
    ((x * FINE + 0.5) as i32, (y * FINE + 0.5) as i32)
}

fn stroke(width: f64) -> u32 {
    (width * FINE + 0.5) as u32
}

fn drawn<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("drawing into a string with an embedded font has nothing to fail on")
}

/// The font by which text is measured, then what a viewer without it has.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// Units per pixel.
const FINE: f64 = 4.0;
