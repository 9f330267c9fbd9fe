use jiff::tz::TimeZone;

use super::history::{NOW, get, with_history};
use super::*;
use crate::counters::Counters;
use crate::report::{self, KeptReport, ReportHeading, ReportPeriod};
use crate::store::{Retention, Store, StoreOptions};

/// A server with two reports, the older one weekly.
fn with_reports(folder: &std::path::Path) -> Server {
    let records = (0..200).map(|i| Record::Request(request(NOW - 300 + i, "<shop>", 100 + i)));
    let server = with_history(folder, records.collect());
    let reader = server.state.parts.history.clone().unwrap();
    let options = StoreOptions {
        path: folder.join("perfmon.db"),
        max_bytes: 1 << 30,
        retention: Retention::default(),
        now: || WallTime(NOW * SECOND),
    };
    let store = Store::start(options, Arc::new(Counters::default()), crate::heartbeat::Heartbeat::unwatched()).unwrap();
    for (id, to) in [("weekly-2026-11-16", NOW - 60), ("daily-2026-11-22", NOW)] {
        let made = report::collect(&reader, &ReportPeriod::between(to - 3_600, to), NOW).unwrap().on_host("web-1");
        let kept = KeptReport::new(id.parse().unwrap(), made, &TimeZone::get("Europe/Berlin").unwrap(), WallTime(NOW * SECOND));
        assert!(store.keeper().keep(KeptReport::BODY_KIND, kept.heading.to, kept.body().unwrap()));
        assert!(store.keeper().keep(ReportHeading::KIND, kept.heading.to, serde_json::to_string(&kept.heading).unwrap()));
    }
    store.finish();
    server
}

#[tokio::test]
async fn reports_are_listed_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_reports(folder.path());
    let (status, list) = get(&server, "/api/v1/reports").await;
    assert_eq!((status, &list["total"]), (200, &2.into()));
    let first = &list["items"][0];
    assert_eq!((first["id"].as_str(), first["type"].as_str()), (Some("daily-2026-11-22"), Some("daily")));
    assert_eq!(first["title"], "Daily report on web-1: Good");
    assert!(first["summary"][0].as_str().unwrap().starts_with("<shop> answered 200 requests"), "{first}");
    assert_eq!(get(&server, "/api/v1/reports?type=weekly").await.1["items"][0]["id"], "weekly-2026-11-16");
    assert_eq!(get(&server, "/api/v1/reports?limit=1").await.1["items"].as_array().unwrap().len(), 1);
    for wrong in ["type=hourly", "limit=0", "from=x", "nonsense=1"] {
        assert_eq!(get(&server, &format!("/api/v1/reports?{wrong}")).await.0, 400, "{wrong}");
    }
    assert_eq!(get(&super::server(), "/api/v1/reports").await.1["error"]["code"], "no_store");
}

#[tokio::test]
async fn a_report_comes_in_the_wanted_format() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_reports(folder.path());
    let path = "/api/v1/reports/daily-2026-11-22";
    let (status, json) = get(&server, path).await;
    assert_eq!((status, &json["report"]["traffic"]["count"], &json["timezone"]), (200, &200.into(), &"Europe/Berlin".into()));
    let browser = HttpRequest::get(path).header("host", "localhost").header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let page = ask(&server, browser).await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let page = text(page).await;
    assert!(page.contains("Performance of web-1") && page.contains("2026-11-22 10:59:59 CET"), "{page}");
    assert!(page.contains("&#60;shop&#62;") && !page.contains("<shop>"), "{page}");
    let markdown = text(ask(&server, HttpRequest::get(format!("{path}?format=md")).header("host", "localhost")).await).await;
    assert!(markdown.starts_with("# Performance of web-1\n"), "{markdown}");
    for (path, wanted) in [("daily-2026-11-23", 404), ("..%2f..", 404), ("daily-2026-11-22?format=pdf", 400)] {
        assert_eq!(get(&server, &format!("/api/v1/reports/{path}")).await.0, wanted, "{path}");
    }
}
