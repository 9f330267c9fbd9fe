//! A model on the OpenAI chat completions API for a `Receiver`, and the agent that asks it three times (clients/chat_agent.py).
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::need::python;
use crate::process::Running;
use crate::receiver::{Reply, Seen};
use crate::{wait_until, workspace};

/// The agent; it waits until it is let go.
pub struct ChatAgent {
    running: Running,
    gate: PathBuf,
}

impl ChatAgent {
    /// Starts one that will ask the model on a port; its files are `name` in a folder.
    pub fn start(model: u16, folder: &Path, name: &str) -> Result<Self> {
        let gate = folder.join(format!("{name}.gate"));
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/clients/chat_agent.py")).arg(model.to_string()).arg(&gate);
        Ok(Self { running: Running::start(&mut command, &folder.join(format!("{name}.log")))?, gate })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Lets it go and waits until it has asked three times.
    pub fn go(&self) -> Result<()> {
        std::fs::write(&self.gate, "")?;
        let done = wait_until(10, || Ok(self.running.log().contains("done").then_some(())))?;
        done.with_context(|| format!("the agent did not finish: {}", self.running.log()))
    }
}

/// What the model answers: a tool call, then text, then a stream; 100 tokens in and 20 out each time.
pub fn answer(seen: &Seen) -> Reply {
    let asked = seen.json().unwrap_or_default();
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120});
    let chunk = |choices: Value, usage: &Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": choices, "usage": usage});
    if asked["stream"] == true {
        let pieces = ["", "five", " indeed"].map(|text| chunk(json!([{"index": 0, "delta": {"content": text}}]), &Value::Null));
        let last = [chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), &Value::Null), chunk(json!([]), &usage)];
        let events: String = pieces.iter().chain(&last).map(|chunk| format!("data: {chunk}\n\n")).collect();
        return Reply { headers: "Content-Type: text/event-stream\r\n".into(), body: events + "data: [DONE]\n\n", ..Reply::status(200) };
    }
    let call = json!([{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]);
    let wants_tool = asked["messages"].as_array().is_some_and(|messages| messages.len() == 1);
    let (message, reason) = match wants_tool {
        true => (json!({"role": "assistant", "content": null, "tool_calls": call}), "tool_calls"),
        false => (json!({"role": "assistant", "content": "5"}), "stop"),
    };
    let choices = json!([{"index": 0, "message": message, "finish_reason": reason}]);
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini", "choices": choices, "usage": usage});
    Reply { headers: "Content-Type: application/json\r\n".into(), body: body.to_string(), ..Reply::status(200) }
}
