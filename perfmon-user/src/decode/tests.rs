//! Layouts that changed over time: what older recordings hold still decodes.
use bytemuck::{Zeroable, bytes_of};

use super::*;

fn exec_event(behind: &[u8]) -> Vec<u8> {
    let mut header = ExecHeader::zeroed();
    (header.kind, header.tgid, header.argv_len) = (KIND_EXEC, 7, 5);
    [bytes_of(&header), b"a\0bc\0", behind].concat()
}

fn exec_of(bytes: &[u8]) -> Exec<'_> {
    match decode(bytes) {
        Ok(Event::Exec(exec)) => exec,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exec_event_carries_variables_and_start_time() {
    let behind = [bytes_of(&ExecTail { start_ns: 9 }), b"OTEL_SERVICE_NAME=shop\0FLASK_APP=f\0"].concat();
    let event = exec_event(&behind);
    let exec = exec_of(&event);
    assert_eq!((exec.pid, exec.argv, exec.start_ns), (7, &b"a\0bc\0"[..], Some(9)));
    assert_eq!(exec.env, b"OTEL_SERVICE_NAME=shop\0FLASK_APP=f\0");
}

#[test]
fn an_exec_event_of_an_older_recording_has_neither() {
    let event = exec_event(b"");
    let exec = exec_of(&event);
    assert_eq!((exec.argv, exec.start_ns, exec.env), (&b"a\0bc\0"[..], None, &b""[..]));
    let unknown = exec_event(bytes_of(&ExecTail { start_ns: 0 }));
    assert_eq!((exec_of(&unknown).start_ns, exec_of(&unknown).env), (None, &b""[..]));
    assert!(decode(&event[..event.len() - 1]).is_err());
}

#[test]
fn a_failed_connect_is_told_by_its_flag() {
    let change = |flags, error| {
        let mut header = StateHeader::zeroed();
        (header.kind, header.old_state, header.new_state, header.flags, header.error) = (KIND_STATE, 2, 7, flags, error);
        match decode(bytes_of(&header)) {
            Ok(Event::State(state)) => state.change,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(change(STATE_NOT_CONNECTED, 111), StateChange::NotConnected(Failure::ConnectRefused));
    assert_eq!(change(0, 0), StateChange::Closed { peer_reset: false, local_reset: false }, "an older recording");
}

#[test]
fn what_tcp_tells_comes_with_the_end_and_not_in_older_recordings() {
    let mut header = StateHeader::zeroed();
    (header.kind, header.new_state, header.round_trip_us, header.segments, header.retransmits) = (KIND_STATE, 7, 250, 40, 3);
    let tcp = |bytes: &[u8]| match decode(bytes) {
        Ok(Event::State(state)) => Some(state.tcp),
        _ => None,
    };
    let bytes = bytes_of(&header);
    assert_eq!(tcp(bytes), Some(Some(TcpFigures { round_trip_us: 250, segments: 40, retransmits: 3 })));
    assert_eq!(tcp(&bytes[..56]), Some(None), "an older recording");
    assert_eq!(tcp(&bytes[..55]), None);
    header.segments = 0;
    assert_eq!(tcp(bytes_of(&header)), Some(None), "not read");
}

#[test]
fn impossible_times_and_counts_are_refused() {
    let mut data = DataHeader::zeroed();
    data.kind = KIND_DATA;
    let refused = |header: &DataHeader| match decode(bytes_of(header)) {
        Err(DecodeError::Number { field, .. }) => Some(field),
        _ => None,
    };
    assert_eq!(refused(&data), None);
    assert_eq!(refused(&DataHeader { time_ns: u64::MAX - 1, ..data }), Some("time_ns"));
    assert_eq!(refused(&DataHeader { offset: u64::MAX - 1, ..data }), Some("offset"));
    let arrived = DataHeader { arrival_ns: u64::MAX, ..data };
    assert!(matches!(decode(bytes_of(&arrived)), Ok(Event::Data(data)) if data.stamp.arrival_ns.is_none()), "the rest is of use");

    let mut state = StateHeader::zeroed();
    (state.kind, state.new_state, state.in_bytes) = (KIND_STATE, 7, u64::MAX);
    assert!(matches!(decode(bytes_of(&state)), Err(DecodeError::Number { field: "in_bytes", .. })));
    let mut exit = ExitHeader::zeroed();
    (exit.kind, exit.user_ns) = (KIND_EXIT, u64::MAX);
    assert!(matches!(decode(bytes_of(&exit)), Err(DecodeError::Number { field: "user_ns", .. })));
}
