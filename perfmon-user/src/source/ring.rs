//! The kernel's ring → event bytes. Polled: programs never wake the reader.
use aya::maps::{MapData, RingBuf};

/// Events taken in one go at most, so that a flood leaves the caller time for its other work.
const BATCH: usize = 65_536;

/// The reading end of the ring.
pub struct Ring(RingBuf<MapData>);

impl Ring {
    /// Takes the ring over.
    pub fn new(ring: RingBuf<MapData>) -> Self {
        Self(ring)
    }

    /// Hands the events that wait to `each`, oldest first, and frees their room; tells how many there were.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while count < BATCH
            && let Some(event) = self.0.next()
        {
            each(&event);
            count += 1;
        }
        count
    }
}
