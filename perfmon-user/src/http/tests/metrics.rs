//! `/metrics` of what is no request: model calls, agents, tools, samples, alerts.
use super::*;
use crate::export::otlp::tests::sample;
use crate::record::{Agent, Tool};

async fn metrics(server: &Server, query: &str) -> String {
    text(ask(server, HttpRequest::get(format!("/metrics{query}")).header("host", "localhost")).await).await
}

fn records() -> Vec<Record> {
    let origin = origin("shop");
    let call = sample::call(&origin, Side::Client);
    let failed = crate::record::Llm { error_type: Some("rate_limit_error".into()), response_time_ms: None, ..call.clone() };
    let served = sample::call(&origin, Side::Server);
    let run = sample::run(&origin, "success");
    let broken = Agent { status: "error", error_type: None, ..run.clone() };
    let used = sample::tool(&origin, "mcp");
    let refused = Tool { success: Some(false), error_type: Some("timeout".into()), ..used.clone() };
    let calls = [call.clone(), call, failed, served].map(|call| Record::Llm(Box::new(call)));
    let runs = [run, broken].map(|run| Record::Agent(Box::new(run)));
    let tools = [used, refused].map(|tool| Record::Tool(Box::new(tool)));
    calls.into_iter().chain(runs).chain(tools).collect()
}

#[tokio::test]
async fn model_calls_agents_and_tools_are_counted_by_the_table_of_kinds() {
    let server = server();
    server.push(records());
    let body = metrics(&server, "").await;
    let model = r#"service_name="shop",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",server_address="api.openai.com""#;
    for line in [
        format!(r#"perfmon_llm_calls_total{{side="client",{model}}} 2"#),
        format!(r#"perfmon_llm_calls_total{{side="client",{model},error_type="rate_limit_error"}} 1"#),
        format!(r#"gen_ai_client_operation_duration_seconds_bucket{{{model},le="1.28"}} 0"#),
        format!(r#"gen_ai_client_operation_duration_seconds_bucket{{{model},le="2.56"}} 2"#),
        format!(r#"gen_ai_client_operation_duration_seconds_count{{{model}}} 2"#),
        format!(r#"gen_ai_server_request_duration_seconds_count{{{model}}} 1"#),
        format!(r#"gen_ai_client_operation_time_to_first_chunk_seconds_sum{{{model}}} 0.5"#),
        format!(r#"gen_ai_client_token_usage_sum{{{model},gen_ai_token_type="input"}} 2000"#),
        format!(r#"gen_ai_client_token_usage_bucket{{{model},gen_ai_token_type="output",le="256.0"}} 2"#),
        format!(r#"perfmon_llm_input_tokens_total{{side="server",{model}}} 1000"#),
        format!(r#"perfmon_llm_cost_usd_total{{side="client",{model}}} 0.009"#),
        r#"perfmon_agent_runs_total{service_name="shop",gen_ai_agent_name="helper",error_type="error"} 1"#.into(),
        r#"perfmon_agent_execution_time_seconds_count{service_name="shop",gen_ai_agent_name="helper"} 1"#.into(),
        r#"perfmon_tool_calls_total{service_name="shop",gen_ai_tool_name="search",perfmon_tool_source="mcp",error_type="timeout"} 1"#
            .into(),
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in\n{body}");
    }
    assert!(!body.contains("perfmon_llm_input_tokens_total{side=\"client\""), "the convention's histogram has them");
    let small = metrics(&server, "?buckets=none").await;
    assert!(small.contains(&format!("gen_ai_client_operation_duration_seconds_sum{{{model}}} 4\n")) && !small.contains("le=\"1.28\""));
    let wrong = text(ask(&server, HttpRequest::get("/metrics?buckets=few").header("host", "localhost")).await).await;
    assert!(wrong.contains("all") && wrong.contains("none"), "{wrong}");
}

#[tokio::test]
async fn the_series_of_a_crowd_of_models_are_bounded() {
    let server = server();
    let call = sample::call(&origin("shop"), Side::Client);
    let named = |number: usize| crate::record::Llm { request_model: Some(format!("model {number}").into()), ..call.clone() };
    let crowd = (0..limits::METRIC_SERIES).map(|number| Record::Llm(Box::new(named(number))));
    let next = Record::Llm(Box::new(sample::call(&origin("next"), Side::Client)));
    server.push(crowd.chain([next]).collect());
    let body = metrics(&server, "?buckets=none").await;
    let other =
        r#"perfmon_llm_calls_total{side="client",service_name="shop",gen_ai_provider_name="(other)",gen_ai_request_model="(other)","#;
    assert!(body.contains(&format!("{other}server_address=\"(other)\"}} {}\n", limits::METRIC_SERIES / 2)), "half is left for others");
    assert!(body.contains(r#"perfmon_llm_calls_total{side="client",service_name="next","#), "the next service");
}

#[tokio::test]
async fn samples_add_up_and_what_is_gone_is_forgotten() {
    let server = server();
    let batch = vec![sample::process(&origin("shop"), 50.0), sample::process(&origin("shop"), 50.0), sample::system(), sample::system()];
    let (Record::Process(process), Record::System(system)) = (&batch[0], &batch[2]) else { panic!("other samples") };
    let (disk, interface) = (&system.disks[0], &system.network[0]);
    server.push(batch.clone());
    let body = metrics(&server, "").await;
    let seconds = process.interval_ms.0 as f64 / 1e9;
    for line in [
        format!(r#"process_cpu_time_seconds_total{{service_name="shop",process_pid="7"}} {seconds}"#),
        format!(
            r#"system_disk_io_bytes_total{{system_filesystem_mountpoint="{}",disk_io_direction="read"}} {}"#,
            disk.mount,
            2 * disk.read_bytes.unwrap_or_default()
        ),
        format!(
            r#"system_network_io_bytes_total{{network_interface_name="{}",network_io_direction="transmit"}} {}"#,
            interface.name,
            2 * interface.tx_bytes
        ),
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in\n{body}");
    }
    let later = System { time: WallTime(system.time.0 + 61 * SECOND), disks: vec![], ..(**system).clone() };
    server.push(vec![Record::System(Box::new(later))]);
    let body = metrics(&server, "").await;
    assert!(!body.contains("process_cpu_time_seconds_total{") && !body.contains("system_disk_io_bytes_total{"), "{body}");
}
