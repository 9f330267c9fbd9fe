//! Bounds-checked reading of binary protocols; the only place that indexes into captured bytes.
