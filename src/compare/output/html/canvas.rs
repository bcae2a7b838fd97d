//! Common to all charts: size, font, colours, and the labels that the library does not draw.
//!
//! A chart is as wide as a phone, so that its text is as large there as on a wide screen, where
//! charts are side by side. The page's style inverts black and [`RULE`] in dark mode.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width and height of a chart in pixels.
const SIZE: (u32, u32) = (380, 256);

/// Font size in pixels.
const FONT: u32 = 12;

/// Approximate width of a character in pixels.
const LETTER: usize = 7;

/// Pixels left of the plot area, for the labels of the vertical axis.
pub const LEFT: u32 = 72;

/// Pixels below the plot area, for the labels and the title of the horizontal axis.
pub const BELOW: u32 = 46;

/// Pixels between the horizontal axis and its labels.
const GAP: u32 = 7;

/// Pixels between the plot area and the other edges.
pub const MARGIN: u32 = 10;

/// Pixels between the horizontal axis and the top of its title.
const TO_NAME: u32 = GAP + FONT + 6;

/// Colour of the grid lines.
const RULE: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);

/// Colours that colour-blind readers can distinguish, on white and on black (Okabe and Ito, Color
/// Universal Design, without its black and yellow).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// A group's colour, for the chart and for the page. Colours repeat from the seventh group on.
pub fn colour_of_group(place: usize) -> (RGBColor, String) {
    let colour = COLOURS[place % COLOURS.len()];
    let RGBColor(r, g, b) = colour;
    (colour, format!("#{r:02x}{g:02x}{b:02x}"))
}

/// A drawing area.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws on a new canvas and returns it as SVG.
pub fn svg(draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    draw(&area)?;
    area.present().map_err(|error| failed(&error))?;
    drop(area);
    Ok(text)
}

/// Converts the library's error, which borrows what it failed to draw.
pub fn failed(error: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing a chart: {error}")
}

/// Draws the vertical axis with about this many labels, and the grid lines.
pub fn upright_axis<Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<RangedCoordf64, Y>>,
    labels: usize,
    label: &dyn Fn(&f64) -> String,
) -> Result<()>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(labels)
        .y_label_formatter(label)
        .label_style(type_of_labels())
        .bold_line_style(RULE)
        .light_line_style(TRANSPARENT)
        .axis_style(BLACK)
        .draw()
        .map_err(|error| failed(&error))
}

/// Style of labels, in the page's font.
fn type_of_labels() -> TextStyle<'static> {
    ("sans-serif", FONT).into_font().color(&BLACK)
}

/// Draws labels below the plot area at these x positions in pixels, as many as fit beside each
/// other, and the title of the axis.
pub fn level_axis(area: &Area<'_>, labels: &[(i32, String)], name: &str) -> Result<()> {
    let style = type_of_labels().pos(Pos::new(HPos::Center, VPos::Top));
    let half = |text: &str| (text.chars().count() * LETTER / 2) as i32;
    let axis = SIZE.1 - BELOW;
    let write = |text: &str, x: i32, below: u32| {
        let label = Text::new(text.to_owned(), (x, (axis + below) as i32), style.clone());
        area.draw(&label).map_err(|error| failed(&error))
    };
    let mut free_from = i32::MIN;
    for (x, text) in labels {
        let half = half(text);
        // Labels at the edges move inwards instead of being cut off.
        let x = (*x).clamp(
            half.min(SIZE.0 as i32 / 2),
            (SIZE.0 as i32 - half).max(SIZE.0 as i32 / 2),
        );
        if x - half < free_from {
            continue;
        }
        write(text, x, GAP)?;
        free_from = x + half + LETTER as i32;
    }
    let middle = (LEFT + (SIZE.0 - MARGIN)) / 2;
    write(name, middle as i32, TO_NAME)
}
