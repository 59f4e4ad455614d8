//! The options of our own, `tenon/options.proto`: read from the compiled contract, because the
//! types of prost drop what they do not know.

use std::collections::HashMap;

use protox::prost_reflect::{DescriptorPool, Value};

use crate::{diagnostic::Diagnostic, model::Criticality};

/// The file that a contract imports for them.
pub(super) const FILE: &str = "tenon/options.proto";

/// The criticality of each method that has one written, by its full name.
pub(super) fn criticalities(pool: &DescriptorPool) -> HashMap<String, Criticality> {
    let Some(option) = pool.get_extension_by_name("tenon.criticality") else {
        return HashMap::new();
    };
    let services: Vec<_> = pool.services().collect();
    let methods = services.iter().flat_map(|service| service.methods());
    let written = methods.filter_map(|method| {
        let options = method.options();
        let value = options
            .has_extension(&option)
            .then(|| options.get_extension(&option))?;
        Some((method.full_name().to_owned(), criticality(&value)?))
    });
    written.collect()
}

/// What to write instead, in a finding about these options.
pub(super) fn advise(finding: Diagnostic) -> Diagnostic {
    let is_class = |expected: &String| expected.contains("`tenon.Criticality`");
    if finding.expected.iter().any(is_class) {
        return finding.expecting(["`CRITICAL`", "`NORMAL`", "`SHEDDABLE`"]);
    }
    if finding.message == "name `tenon.criticality` is not defined" {
        return finding.with_hint(format!("import `{FILE}`, which is built in"));
    }
    if finding.message.starts_with("`tenon.") {
        return finding.with_hint("the option is `(tenon.criticality)`");
    }
    finding
}

fn criticality(value: &Value) -> Option<Criticality> {
    match value {
        Value::EnumNumber(0) => Some(Criticality::Normal),
        Value::EnumNumber(1) => Some(Criticality::Sheddable),
        Value::EnumNumber(2) => Some(Criticality::Critical),
        _ => None,
    }
}
