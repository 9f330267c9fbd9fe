//! The wall clock may jump, and no alert may fire, end or escalate by that. In: both clocks at each judgement; out: by how much the wall clock
//! moved against the steady one. The machine moves the times from which it counts along with it; times in records stay.
use std::time::Duration;

use crate::record::WallTime;

use super::machine::{Machine, OpenAlert};

/// Differences up to this come from the pace of the two readings and from NTP's corrections.
const TOLERANCE_NS: u64 = 1_000_000_000;

/// The last readings.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last: Option<(WallTime, Duration)>,
}

impl ClockWatch {
    /// Nanoseconds by which the wall clock jumped since the last readings; 0 when it did not.
    pub fn jumped(&mut self, wall: WallTime, steady: Duration) -> i128 {
        let Some((last_wall, last_steady)) = self.last.replace((wall, steady)) else { return 0 };
        let jump = i128::from(wall.0) - i128::from(last_wall.0) - steady.saturating_sub(last_steady).as_nanos().cast_signed();
        if jump.unsigned_abs() > u128::from(TOLERANCE_NS) { jump } else { 0 }
    }
}

impl Machine {
    /// Takes both clocks before a judgement. After a jump of the wall clock, durations go on as if it had not jumped.
    pub(super) fn heed_clock(&mut self, wall: WallTime, steady: Duration) {
        let jump = self.clock.jumped(wall, steady);
        if jump != 0 {
            tracing::warn!(seconds = (jump / 1_000_000_000) as i64, "The clock jumped; alerts count their durations as if it had not.");
            self.open.values_mut().for_each(|open| open.shift(jump));
        }
    }
}

impl OpenAlert {
    fn shift(&mut self, jump: i128) {
        let moved = |time: WallTime| WallTime(u64::try_from(i128::from(time.0) + jump).unwrap_or(0));
        for time in [&mut self.bad_since, &mut self.well_since, &mut self.critical_since, &mut self.escalating_since] {
            *time = time.map(moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_told_once_and_a_steady_pace_is_none() {
        let mut watch = ClockWatch::default();
        let s = |seconds: u64| WallTime(seconds * 1_000_000_000);
        let readings = [(1_000, 0, 0), (1_001, 1, 0), (4_602, 2, 3_600), (4_603, 3, 0), (603, 4, -4_001), (604, 5, 0)];
        for (wall, steady, jump) in readings {
            assert_eq!(watch.jumped(s(wall), Duration::from_secs(steady)), i128::from(jump) * 1_000_000_000, "{wall}");
        }
    }
}
