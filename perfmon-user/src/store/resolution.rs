//! The resolutions of history, and how a time range is covered with them.
use std::time::Duration;

/// A resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Resolution {
    /// Cells of ten seconds.
    Finest = 0,
    /// Cells of a minute, made of the finest.
    Minute = 1,
    /// Cells of an hour, made of minutes.
    Hour = 2,
}

/// How long each resolution is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Cells of ten seconds.
    pub finest: Duration,
    /// Cells of a minute.
    pub minute: Duration,
    /// Cells of an hour.
    pub hour: Duration,
    /// Single records.
    pub records: Duration,
}

const DAY_S: u64 = 86_400;

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * DAY_S);
        Self { finest: days(1), minute: days(14), hour: days(400), records: days(31) }
    }
}

impl Retention {
    /// Of a resolution, in seconds.
    pub fn seconds(&self, resolution: Resolution) -> u64 {
        match resolution {
            Resolution::Finest => self.finest,
            Resolution::Minute => self.minute,
            Resolution::Hour => self.hour,
        }
        .as_secs()
    }
}

/// A range of one resolution; seconds since 1970, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolutionRange {
    /// The resolution.
    pub resolution: Resolution,
    /// Start.
    pub from: u64,
    /// End.
    pub to: u64,
}

impl Resolution {
    /// All, finest first.
    pub const ALL: [Self; 3] = [Self::Finest, Self::Minute, Self::Hour];

    /// Length of a cell in seconds.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Finest => 10,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    /// Length of a block in seconds.
    pub fn span(self) -> u64 {
        match self {
            Self::Finest | Self::Minute => 3_600,
            Self::Hour => DAY_S,
        }
    }

    /// Start of the block that contains a time.
    pub fn span_of(self, time: u64) -> u64 {
        time - time % self.span()
    }

    /// The next finer one.
    pub fn finer(self) -> Option<Self> {
        match self {
            Self::Finest => None,
            Self::Minute => Some(Self::Finest),
            Self::Hour => Some(Self::Minute),
        }
    }

    /// Start of the cell that contains a time.
    pub fn floor(self, time: u64) -> u64 {
        time - time % self.seconds()
    }

    /// The time itself at a boundary, otherwise the end of the cell that contains it.
    pub fn ceil(self, time: u64) -> u64 {
        self.floor(time.saturating_add(self.seconds() - 1))
    }

    /// The finest resolution that still reaches back to `from`.
    pub fn reaching(from: u64, now: u64, retention: &Retention) -> Self {
        let reaches = |resolution: &Self| from.saturating_add(retention.seconds(*resolution)) >= now;
        Self::ALL.into_iter().find(reaches).unwrap_or(Self::Hour)
    }

    /// Covers a range with cells of at most this resolution. `until` is the time up to which each resolution is complete; later times are
    /// read from the next finer one.
    pub fn cover(self, from: u64, to: u64, until: &[u64; 3]) -> Vec<ResolutionRange> {
        if from >= to {
            return Vec::new();
        }
        let Some(finer) = self.finer() else { return vec![ResolutionRange { resolution: self, from, to }] };
        let (begin, end) = (self.ceil(from), self.floor(to.min(until[self as usize])));
        if begin >= end {
            return finer.cover(from, to, until);
        }
        let mut pieces = finer.cover(from, begin, until);
        pieces.push(ResolutionRange { resolution: self, from: begin, to: end });
        pieces.extend(finer.cover(end, to, until));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_covered_once_with_the_coarsest_that_is_complete() {
        let until = [u64::MAX, 7_500, 7_200];
        let pieces = Resolution::Hour.cover(3_530, 7_590, &until);
        let want = [
            (Resolution::Finest, 3_530, 3_540),
            (Resolution::Minute, 3_540, 3_600),
            (Resolution::Hour, 3_600, 7_200),
            (Resolution::Minute, 7_200, 7_500),
            (Resolution::Finest, 7_500, 7_590),
        ];
        assert_eq!(pieces, want.map(|(resolution, from, to)| ResolutionRange { resolution, from, to }));
        for (from, to) in [(0, 0), (10, 20), (0, 100_000), (3_599, 3_601), (7_199, 7_600)] {
            let pieces = Resolution::Hour.cover(from, to, &until);
            assert!(pieces.windows(2).all(|pair| pair[0].to == pair[1].from), "{pieces:?}");
            assert_eq!(pieces.iter().map(|piece| piece.to - piece.from).sum::<u64>(), to - from);
        }
    }

    #[test]
    fn old_times_need_a_coarse_resolution() {
        let (retention, now) = (Retention::default(), 1_000 * DAY_S);
        assert_eq!(Resolution::reaching(now - 3_600, now, &retention), Resolution::Finest);
        assert_eq!(Resolution::reaching(now - 2 * DAY_S, now, &retention), Resolution::Minute);
        assert_eq!(Resolution::reaching(now - 30 * DAY_S, now, &retention), Resolution::Hour);
        assert_eq!(Resolution::reaching(0, now, &retention), Resolution::Hour);
    }
}
