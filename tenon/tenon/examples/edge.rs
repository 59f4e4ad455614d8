//! A gateway from its configuration alone; see `docs/guide/gateway.md`.

fn main() -> std::process::ExitCode {
    tenon::main("etc/gateway.yaml", tenon::edge)
}
