//! A small line chart as SVG: gaps stay gaps, the base line is zero, a single value is a dot.

/// Size of the picture in its own units.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 80.0;

/// The picture; `label` is already escaped.
pub fn svg(values: &[Option<f64>], label: &str) -> String {
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let mut path = String::new();
    let mut drawing = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let height = if most > 0.0 { value / most * (HEIGHT - 4.0) } else { 0.0 };
        let (x, y) = (index as f64 * step, HEIGHT - 2.0 - height);
        // A line of no length has round ends: a dot, should nothing follow.
        let mark = if drawing { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0") };
        path.push_str(&mark);
        drawing = true;
    }
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\"><path class=\"base\" d=\"M0 {0}H{WIDTH}\"/><path d=\"{path}\"/></svg>",
        HEIGHT - 1.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_not_bridged() {
        let picture = svg(&[Some(1.0), Some(2.0), None, Some(4.0)], "x");
        assert!(picture.contains("M0.0 59.0h0L106.7 40.0M320.0 2.0h0"), "{picture}");
        assert!(svg(&[], "x").contains("d=\"\""));
        assert!(svg(&[Some(0.0)], "x").contains("M0.0 78.0h0"));
    }
}
