//! How probed functions are called, for kernels whose probes have no cookies (before Linux 5.15): by the place of each probe within its page,
//! which is the same in every process that maps the file. In: the points of a library; out: the kernel's table, or which place is taken.
use std::collections::HashMap;

use aya::maps::{Array, Map, MapData, MapError};
use perfmon_common::map::TLS_PLACES;

use crate::probe::library::{FREE, Point, RETURN};

/// The kernel's table.
pub(super) const CONVENTIONS: &str = "TLS_CONVENTIONS";

/// The places in use. They stay in use when a library goes: another one of the same build has the same.
pub(in crate::probe) struct ProbePlaces {
    table: Array<MapData, u64>,
    taken: HashMap<u32, u64>,
}

impl ProbePlaces {
    pub(super) fn new(map: Map) -> Result<Self, MapError> {
        Ok(Self { table: map.try_into()?, taken: HashMap::new() })
    }

    /// Takes the places of all points, or none.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn claim(&mut self, points: &[Point]) -> Result<(), String> {
        let wanted = wanted(points, &self.taken)?;
        for (place, cookie) in &wanted {
            self.table.set(*place, *cookie, 0).map_err(|error| format!("the kernel refused the place of a probe: {error}"))?;
        }
        self.taken.extend(wanted);
        Ok(())
    }
}

/// The places that the points take besides those in use.
fn wanted(points: &[Point], taken: &HashMap<u32, u64>) -> Result<HashMap<u32, u64>, String> {
    let mut wanted = HashMap::new();
    for point in points.iter().filter(|point| point.program != FREE) {
        if point.program == RETURN {
            return Err("this kernel's return probes do not tell where they are (Linux 5.15 and later do)".to_owned());
        }
        let (place, cookie) = ((point.offset % u64::from(TLS_PLACES)) as u32, point.convention.cookie());
        let before = taken.get(&place).copied().or_else(|| wanted.insert(place, cookie));
        if before.is_some_and(|before| before != cookie) {
            return Err("two places in TLS libraries cannot be told apart on this kernel (Linux 5.15 and later can)".to_owned());
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use perfmon_common::tls::TlsConvention;

    use super::*;
    use crate::probe::library::{ENTRY, RESULT};

    fn point(program: &'static str, offset: u64, frame_bytes: u16) -> Point {
        Point { program, offset, convention: TlsConvention { direction: 1, count_argument: 0, frame_bytes } }
    }

    #[test]
    fn places_that_mean_the_same_may_be_shared_and_no_others() {
        let points = [point(ENTRY, 0x12_345, 8), point(RESULT, 0x13_010, 8), point(FREE, 0x12_345, 0)];
        let first = wanted(&points, &HashMap::new()).expect("free places");
        assert_eq!(first.keys().copied().collect::<std::collections::BTreeSet<_>>(), [0x010, 0x345].into());
        assert_eq!(wanted(&points, &first), Ok(HashMap::new()));
        assert!(wanted(&[point(ENTRY, 0xff_345, 16)], &first).is_err());
        assert!(wanted(&[point(ENTRY, 0x1_000, 8), point(ENTRY, 0x2_000, 16)], &HashMap::new()).is_err());
        assert!(wanted(&[point(RETURN, 0x5_000, 8)], &HashMap::new()).is_err());
    }
}
