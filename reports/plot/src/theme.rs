//! Colours, and what becomes of them in the dark.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// What pictures are drawn on.
pub(crate) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// Black text.
pub(crate) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Text that is not read first.
pub(crate) const QUIET: RGBColor = RGBColor(0x55, 0x55, 0x55);
/// Grid lines.
pub(crate) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// What is there for completeness.
pub(crate) const GREY: RGBColor = RGBColor(0x88, 0x88, 0x88);
/// Faults, and nothing else.
pub(crate) const FAULT: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
/// Alarms, and nothing else.
pub(crate) const ALARM: RGBColor = RGBColor(0x7b, 0x32, 0x94);
/// Colours of series that people tell apart whatever their colour vision (Okabe, Ito 2008), without the two that are faint on white
/// or taken by faults.
pub(crate) const PALETTE: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
];

/// More colours, for parts that stand beside their names.
pub(crate) const BROWN: RGBColor = RGBColor(0x8c, 0x6d, 0x31);
/// Another.
pub(crate) const STEEL: RGBColor = RGBColor(0x8d, 0xa0, 0xcb);

/// A colour as SVG and CSS write it.
pub(crate) fn hex(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}

/// CSS rules by which drawn colours turn dark or light. They speak of attributes, so that a viewer that knows no CSS shows the light
/// picture; `scope` is what they are limited to.
pub(crate) fn dark_rules(scope: &str) -> String {
    let mut rules = String::new();
    for (light, dark) in DARK {
        let light = hex(light);
        for attribute in ["fill", "stroke"] {
            let _ = write!(
                rules,
                "{scope}[{attribute}=\"{light}\"]{{{attribute}:{dark}}}"
            );
        }
    }
    rules
}

/// The SVG document of a plot in the colours that a dark viewer gives it, for what knows no style sheets, as [`png`](crate::png).
pub fn dark(svg: &str) -> String {
    let mut dark = svg.replacen(&style(), "", 1);
    for (light, in_the_dark) in DARK {
        for attribute in ["fill", "stroke"] {
            let rule = |color: &str| format!("{attribute}=\"{color}\"");
            dark = dark.replace(&rule(&hex(light)), &rule(in_the_dark));
        }
    }
    dark
}

/// The style sheet of a picture that stands alone.
pub(crate) fn style() -> String {
    format!(
        "<style>@media (prefers-color-scheme:dark){{{}}}</style>\n",
        dark_rules("")
    )
}

/// Each colour on dark paper: as far from it as the light one from white.
const DARK: [(RGBColor, &str); 15] = [
    (PAPER, "#15181C"),
    (INK, "#E8E8E8"),
    (QUIET, "#A8ADB3"),
    (GRID, "#3A4047"),
    (GREY, "#9AA0A6"),
    (FAULT, "#FF8A3D"),
    (ALARM, "#BE8AE0"),
    (PALETTE[0], "#4A9FE0"),
    (PALETTE[1], "#2CC09A"),
    (PALETTE[2], "#F2B33D"),
    (PALETTE[3], "#E59AC4"),
    (PALETTE[4], "#9AD8FF"),
    (PALETTE[5], "#F4F4F4"),
    (BROWN, "#C9A55C"),
    (STEEL, "#AEBCE4"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_has_one_for_the_dark() {
        let style = style();
        for color in PALETTE
            .iter()
            .chain(&[PAPER, INK, QUIET, GRID, GREY, FAULT, ALARM])
        {
            assert!(style.contains(&format!("[stroke=\"{}\"]", hex(*color))));
        }
    }

    #[test]
    fn no_colour_is_darkened_twice() {
        let lights = DARK.map(|(light, _)| hex(light));
        for (_, dark) in DARK {
            assert!(!lights.contains(&dark.to_string()), "{dark}");
        }
    }
}
